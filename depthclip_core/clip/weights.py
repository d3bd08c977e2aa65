"""Weights: tensors read from files without running their code, checked, and put into a model."""

import hashlib
import os
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from depthclip_core.clip.configurations import openai_checksums
from depthclip_core.errors import DepthClipError

# Keys under which checkpoints keep it, the usual first; others are searched as well.
WRAPPERS = ("state_dict", "model_state_dict", "model")
OLD_PICKLES = 5  # torch.save's old format: its number, its version, the machine, content, storages
SHOWN = 4  # names in an error
DEEPEST = 8  # dictionaries in one another
PREFIXES = re.compile(r"^((module|model|_orig_mod)\.)+")  # of data parallelism, compilers, trainers
NOT_WEIGHTS = {"input_resolution", "context_length", "vocab_size"}  # in OpenAI's own files


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name, on the CPU, from safetensors or a checkpoint; its content decides which.

    No code of the file is run, but for TorchScript archives that are OpenAI's by their sha256. Any
    other archive raises `DepthClipError`, as does a file without a readable state dict.
    """
    check_file(path)
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, OpenAI's files are not
            state = _read(file, path)
    except (DepthClipError, MemoryError):
        raise
    except OSError as error:
        raise DepthClipError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # each format fails in its own ways; to a user they are one
        fault = "it is damaged, or not what safetensors or torch.save makes of a state dict"
        raise DepthClipError(f"cannot read weights from {path}: {fault}") from error
    return _tensors(state, path)


def check_file(path: Path) -> None:
    """Raise `DepthClipError` where there is no file at the path."""
    try:
        if path.is_dir():
            raise DepthClipError(f"{path} is a folder: give the file of weights in it")
        if not path.is_file():
            raise DepthClipError(f"no weights file at {path}")
    except OSError as error:
        raise DepthClipError(f"cannot read {path}: {error.strerror or error}") from error


def load_weights(
    model: torch.nn.Module, state: Mapping[str, Tensor], name: str, source: str
) -> None:
    """Copy a state dict into a model.

    Raises `DepthClipError` for missing and unknown tensors, other shapes, integers in place of
    floats (quantised weights), and values that are not finite.
    """
    own = model.state_dict()
    both = [(key, own[key], state[key]) for key in own.keys() & state.keys()]
    wrong = {
        "missing": own.keys() - state.keys(),
        "unknown": state.keys() - own.keys(),
        "of another shape": {key for key, a, b in both if a.shape != b.shape},
        "of whole numbers": {
            k for k, a, b in both if a.is_floating_point() > b.is_floating_point()
        },
    }
    faults = [f"{len(k)} tensors {fault}, such as {min(k)}" for fault, k in wrong.items() if k]
    if faults:
        raise DepthClipError(f"weights from {source} do not fit {name}: {'; '.join(faults)}")
    model.load_state_dict(state)
    check_finite(model, f"weights from {source}")


def check_finite(model: torch.nn.Module, source: str) -> None:
    """Raise `DepthClipError` for weights that are NaN or infinite, as the depth would be."""
    for name, tensor in model.state_dict().items():
        # A sum is ten times faster; it may overflow where no value is infinite.
        if not (tensor.sum().isfinite() or tensor.isfinite().all()):
            raise DepthClipError(f"{source} are not finite: {name} holds NaN or infinite values")


def tensor_checksum(model: torch.nn.Module) -> str:
    """sha256 of a model's tensors and their names, 64 hex digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(file: BinaryIO, path: Path) -> object:
    """What an open file holds."""
    head = file.read(16)
    file.seek(0)
    if head[8:9] == b"{":  # safetensors: the length of its header, then the header
        return load_file(path)
    if head.startswith(b"PK"):
        return _read_zip(file, path)
    if not head:
        raise DepthClipError(f"{path} is empty: copy or download it again")
    if head.startswith(b"version https://"):
        raise DepthClipError(f"{path} is a Git LFS pointer: `git lfs pull` fetches the weights")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise DepthClipError(f"{path} is a web page: download the weights themselves")
    names = _names_in_pickles(file)
    file.seek(0)
    return _unpickled(file, names)


def _read_zip(file: BinaryIO, path: Path) -> object:
    """What a file of torch.save or torch.jit.save holds."""
    members = zipfile.ZipFile(file).infolist()
    size = file.seek(0, os.SEEK_END)
    if (claimed := sum(member.file_size for member in members)) > size:
        # Both write their members uncompressed; gigabytes of zeros would fit into kilobytes.
        fault = f"its parts unpack to {claimed:,} bytes, more than the file's own {size:,}"
        raise DepthClipError(f"cannot read weights from {path}: {fault}; save them again")
    file.seek(0)
    if any(member.filename.endswith("/constants.pkl") for member in members):
        return _openai_archive(file.read(), path)
    names = get_unsafe_globals_in_checkpoint(file)
    file.seek(0)
    return _unpickled(file, names)


def _unpickled(file: BinaryIO, names: Iterable[str]) -> object:
    """What torch.save wrote, without running any code of it.

    names: classes and functions in it beside tensors, such as argparse.Namespace.
    """
    with safe_globals([(_Inert, name) for name in names]):
        return torch.load(file, map_location="cpu", weights_only=True, mmap=False)


def _names_in_pickles(file: BinaryIO) -> set[str]:
    """Classes and functions, beside torch's own, that a file of torch.save's old format names."""
    found = set()
    # Mapped, a file yields no more bytes than it has, whatever length it claims for a text.
    with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        for _ in range(OLD_PICKLES):
            for operation, argument, _ in pickletools.genops(content):
                if operation.name == "GLOBAL":
                    found.add(argument.replace(" ", "."))
    return {name for name in found if not name.startswith(("torch.", "collections."))}


class _Inert:
    """Stands for every object in a checkpoint that is not a tensor or plain value; does nothing."""

    def __new__(cls, *args: object) -> "_Inert":
        return super().__new__(cls)

    def __init__(self, *args: object): ...

    def __setstate__(self, state: object) -> None: ...


def _openai_archive(content: bytes, path: Path) -> dict[str, Tensor]:
    """Tensors of OpenAI's TorchScript archive, loaded from the very bytes whose sha256 matched."""
    if hashlib.sha256(content).hexdigest() not in openai_checksums().values():
        read = f"torch.jit.load({str(path)!r}, 'cpu').state_dict()"
        suffix = "-converted.safetensors" if path.suffix == ".safetensors" else ".safetensors"
        safe = str(path.with_name(path.stem + suffix))
        raise DepthClipError(
            f"{path} is a TorchScript archive, which runs code when it is loaded, and not one of "
            f"OpenAI's: if you trust it, safetensors.torch.save_file({read}, {safe!r}) converts it"
        )
    return torch.jit.load(BytesIO(content), map_location="cpu").state_dict()


def _tensors(state: object, path: Path) -> dict[str, Tensor]:
    """The state dict in a checkpoint, under the model's own names."""
    found = _state_dicts(state)
    if not found:
        raise DepthClipError(f"{path} holds no state dict: save model.state_dict()")
    if len(found) > 1:
        several = ", ".join(sorted(found)[:SHOWN])
        raise DepthClipError(f"{path} holds {len(found)} state dicts ({several}): save one of them")
    (tensors,) = found.values()
    names = {key: PREFIXES.sub("", key.replace("_orig_mod.", "")) for key in tensors}
    if len(set(names.values())) < len(names):
        raise DepthClipError(f"{path} has tensors twice, with and without a prefix")
    return {names[key]: t for key, t in tensors.items() if names[key] not in NOT_WEIGHTS}


def _state_dicts(state: object, depth: int = 0) -> dict[str, dict[str, Tensor]]:
    """The state dicts in a checkpoint, each by the key under which it lies.

    Under one of `WRAPPERS` one is taken whatever lies beside it, such as averaged weights.
    """
    if not isinstance(state, dict) or depth > DEEPEST:
        return {}
    if state and all(isinstance(key, str) and _is_dense(t) for key, t in state.items()):
        return {"": state}
    inside = {key: value for key, value in state.items() if isinstance(key, str)}
    found = {key: _state_dicts(value, depth + 1) for key, value in inside.items()}
    if usual := next((found[key] for key in WRAPPERS if found.get(key)), None):
        return usual
    return {
        f"{key}.{rest}".strip("."): tensors
        for key, inner in found.items()
        for rest, tensors in inner.items()
    }


def _is_dense(value: object) -> bool:
    """Whether a value is a tensor that has its numbers with it."""
    plain = isinstance(value, Tensor) and value.layout == torch.strided
    return plain and not (value.is_meta or value.is_quantized)
