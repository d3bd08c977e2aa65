"""Weights from files, without running what is in them: tensors by name."""

import hashlib
import re
import warnings
import zipfile
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import open_clip
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from depthclip_core.errors import DepthClipError

WRAPPERS = ("state_dict", "model_state_dict", "model")  # what checkpoints call their state dict
NOT_WEIGHTS = {"input_resolution", "context_length", "vocab_size"}  # in OpenAI's own files


def openai_checksums() -> dict[str, str]:
    """The sha256 of OpenAI's original file of each model, from the addresses that open_clip has."""
    tags = {name: open_clip.get_pretrained_cfg(name, "openai") for name in open_clip.list_models()}
    found = {name: re.search(r"/([0-9a-f]{64})/", tag.get("url", "")) for name, tag in tags.items()}
    return {name: match[1] for name, match in found.items() if match}


def read_state_dict(path: Path) -> tuple[dict[str, Tensor], bool]:
    """Tensors by name, on the CPU, of safetensors or of a checkpoint; no code of the file is run.

    The content of a file says what it is, whatever its name. A TorchScript archive runs when it is
    loaded: OpenAI's own are known by their sha256, and no other is loaded.
    Returns also whether it is one of OpenAI's.
    """
    try:
        if path.is_dir():
            raise DepthClipError(f"{path} is a folder: give the file of weights in it")
        if not path.is_file():
            raise DepthClipError(f"no weights file at {path}")
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, OpenAI's files are not
            state, from_openai = _read(file, path)
    except (DepthClipError, MemoryError):
        raise
    except OSError as error:
        raise DepthClipError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # each format fails in its own ways; to a user they are one
        raise DepthClipError(
            f"cannot read weights from {path}: it is damaged, or not what safetensors or "
            "torch.save makes of a state dict"
        ) from error
    return _tensors(state, path), from_openai


def _read(file: BinaryIO, path: Path) -> tuple[object, bool]:
    """What an open file holds, and whether the file is OpenAI's."""
    head = file.read(16)
    file.seek(0)
    if head[8:9] == b"{":  # safetensors: the length of its header, then the header
        return load_file(path), False
    if head.startswith(b"PK"):
        return _read_zip(file, path)
    if not head:
        raise DepthClipError(f"{path} is empty: copy or download it again")
    if head.startswith(b"version https://"):
        raise DepthClipError(f"{path} is a Git LFS pointer: `git lfs pull` fetches the weights")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise DepthClipError(f"{path} is a web page: download the weights themselves")
    return torch.load(file, map_location="cpu", weights_only=True, mmap=False), False


def _read_zip(file: BinaryIO, path: Path) -> tuple[object, bool]:
    """As `_read`, of what torch.save and torch.jit.save write."""
    members = zipfile.ZipFile(file).namelist()
    file.seek(0)
    if any(member.endswith("/constants.pkl") for member in members):
        return _openai_archive(file.read(), path), True
    # Classes and functions that it names beside tensors, such as argparse.Namespace.
    inert = [(_Inert, name) for name in get_unsafe_globals_in_checkpoint(file)]
    file.seek(0)
    with safe_globals(inert):
        return torch.load(file, map_location="cpu", weights_only=True, mmap=False), False


class _Inert:
    """Stands for all that a checkpoint holds beside tensors and plain values, and does nothing."""

    def __new__(cls, *args: object) -> "_Inert":
        return super().__new__(cls)

    def __init__(self, *args: object): ...

    def __setstate__(self, state: object) -> None: ...


def _openai_archive(content: bytes, path: Path) -> dict[str, Tensor]:
    """Tensors of OpenAI's TorchScript archive; what is loaded are the very bytes that are known."""
    if hashlib.sha256(content).hexdigest() not in openai_checksums().values():
        read = f"torch.jit.load({str(path)!r}, 'cpu').state_dict()"
        safe = str(path.with_suffix(".safetensors"))
        if safe == str(path):
            safe = str(path.with_name(f"{path.stem}-converted.safetensors"))
        raise DepthClipError(
            f"{path} is a TorchScript archive, which runs code when it is loaded, and not OpenAI's "
            f"own: if you trust it, safetensors.torch.save_file({read}, {safe!r}) converts it"
        )
    return torch.jit.load(BytesIO(content), map_location="cpu").state_dict()


def _tensors(state: object, path: Path) -> dict[str, Tensor]:
    """The state dict in a checkpoint, its names as the model itself has them."""
    for _ in WRAPPERS:
        inner = [state[key] for key in WRAPPERS if key in state] if isinstance(state, dict) else []
        state = next((value for value in inner if isinstance(value, dict)), state)
    dense = isinstance(state, dict) and all(
        isinstance(key, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_meta or value.is_quantized)
        for key, value in state.items()
    )
    if not dense or not state:
        raise DepthClipError(
            f"{path} holds no state dict: save model.state_dict(), tensors by name"
        )
    # What torch.compile and data parallelism add.
    names = {key: re.sub(r"^(module\.)+", "", key.replace("_orig_mod.", "")) for key in state}
    if len(set(names.values())) < len(names):
        raise DepthClipError(f"{path} has tensors twice, with and without a prefix")
    return {names[key]: t for key, t in state.items() if names[key] not in NOT_WEIGHTS}
