"""The only file that loads CLIP: images → features, words → text vectors."""

import hashlib
import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import VisionTransformer
from safetensors.torch import load_file
from torch import Tensor

from depthclip_core import heads
from depthclip_core.errors import DepthClipError, unknown_name
from depthclip_core.settings import OBJECT, TEMPLATES
from depthclip_core.towers import PRECISIONS, make_tower

# Of ImageNet, as released; CLIP's own differ by up to 0.05.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

# Raised when towers or heads compute anything else than before: no store answers for them then.
METHOD = 1
WEIGHT_FILES = {".safetensors", ".pt", ".pth", ".bin"}


class Encoder:
    """A frozen CLIP: uint8 images → `Features`, sentences → unit vectors, on one device.

    Attributes: name and weights, as asked for; device; precision ("fp32", "bf16" or "fp16", of
    the image tower; text and similarities are always fp32); compiled (see `load_encoder`).
    model: an fp32 open_clip model on its device.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        tokenizer,
        name: str,
        weights: str,
        precision: str = "fp32",
        compiled: bool = False,
    ):
        visual = model.visual
        plain_vit = (
            isinstance(visual, VisionTransformer)
            and visual.attn_pool is None
            and visual.pool_type == "tok"
            and not visual.final_ln_after_pool
        )
        if not (isinstance(visual, ModifiedResNet) or plain_vit):
            raise DepthClipError(
                f"{name}'s image tower is a {type(visual).__name__} of a kind without dense heads "
                "here: take one of CLIP's own ResNets or ViTs (RN50, RN101, ViT-B-16 …)"
            )
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name, self.weights, self.precision = name, weights, precision
        self.device = next(model.parameters()).device
        self.compiled = compiled
        self.tower = make_tower(visual, precision, compiled)
        # Made once: sent anew for each batch they would make a GPU wait.
        self._mean, self._std = (torch.tensor(v, device=self.device) for v in (MEAN, STD))

    def __repr__(self) -> str:
        return f"Encoder({self.name}, weights={self.weights}, {self.device}, {self.precision})"

    @property
    def visual(self) -> torch.nn.Module:
        return self.model.visual

    @property
    def image_side(self) -> int:
        """Side in pixels of the square images that the model was trained on."""
        size = self.visual.image_size
        return size if isinstance(size, int) else size[0]

    @cached_property
    def image_checksum(self) -> str:
        """Of all weights that image vectors depend on."""
        return _checksum(self.visual.state_dict())

    @cached_property
    def text_checksum(self) -> str:
        """Of all weights that text vectors depend on."""
        state = self.model.state_dict()
        return _checksum({k: t for k, t in state.items() if not k.startswith("visual.")})

    @property
    def arithmetic(self) -> dict:
        """What vectors depend on beside the weights: constants, precisions, activations."""
        kinds = {name: type(m).__name__ for name, m in self.model.named_modules() if "gelu" in name}
        return {
            "mean": MEAN,
            "std": STD,
            "precision": self.precision,
            "heads": str(next(self.tower.visual.parameters()).dtype),
            "activations": sorted({f"{n.split('.')[0]} {kind}" for n, kind in kinds.items()}),
            "method": METHOD,
        }

    @property
    def stride(self) -> int:
        """Pixels from one cell to the next."""
        return 32 if isinstance(self.visual, ModifiedResNet) else self.visual.patch_size[0]

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of cells for an image of that many pixels: 416 x 544 → (13, 17)."""
        if min(height, width) < self.stride:
            raise DepthClipError(
                f"an image of {height} x {width} pixels is smaller than one cell of {self.name}, "
                f"{self.stride} x {self.stride} pixels"
            )
        return height // self.stride, width // self.stride

    def normalise(self, images: np.ndarray | Tensor) -> Tensor:
        """RGB (B, H, W, 3), 0 to 255 → the network's input (B, 3, H, W), on its device."""
        if isinstance(images, np.ndarray):
            images = torch.from_numpy(np.require(images, requirements="CW"))
        pixels = images.to(self.device, non_blocking=True).float() / 255
        return ((pixels - self._mean) / self._std).permute(0, 3, 1, 2)  # channels last in memory

    @torch.inference_mode()
    def features(self, images: Tensor) -> heads.Features:
        """The network up to its heads: normalised (B, 3, H, W) → `Features` on `grid(H, W)`."""
        self.grid(*images.shape[-2:])
        return self.tower.features(images)

    @torch.inference_mode()
    def cell_vectors(self, features: heads.Features, head: str) -> Tensor:
        """`Features` → (B, D, h, w) fp32 by a head of `heads.HEADS`."""
        return heads.cell_vectors(features, self.tower.visual, head)

    @torch.inference_mode()
    def image_vectors(self, features: heads.Features) -> Tensor:
        """`Features` → (B, D) unit vectors, CLIP's own embedding of whole images."""
        return heads.image_vectors(features, self.tower.visual)

    @torch.inference_mode()
    def encode_text(self, sentences: Sequence[str]) -> Tensor:
        """N sentences → (N, D) fp32 unit vectors."""
        tokens = self.tokenizer(list(sentences)).to(self.device)
        return F.normalize(self.model.encode_text(tokens).float(), dim=-1)

    def text_vectors(
        self, words: Sequence[str], templates: Sequence[str] = TEMPLATES, noun: str = OBJECT
    ) -> Tensor:
        """K distance words → (K, D) fp32 unit vectors, each the mean over the templates' sentences.

        Templates hold the fields {object} and {distance}: "This {object} is {distance}".
        """
        sentences = [t.format(object=noun, distance=word) for word in words for t in templates]
        vectors = self.encode_text(sentences).unflatten(0, (len(words), len(templates)))
        return F.normalize(vectors.mean(1), dim=-1)


def load_encoder(
    name: str = "sample",
    weights: str | Path | None = None,
    device: str | torch.device = "auto",
    precision: str = "auto",
    compiled: bool = False,
) -> Encoder:
    """A frozen CLIP, ready to encode.

    name: "sample", the miniature that comes with this package, or any open_clip model whose image
        tower is a ModifiedResNet or a plain ViT ("RN50", "RN101", "ViT-B/16" …).
    weights: "openai" or another open_clip tag, downloaded by open_clip; a path to a state dict
        (.safetensors, .pt, also OpenAI's original TorchScript file); or None for the sample's own
        weights and, with any other name, for random ones, said in a warning.
    device: "auto" (CUDA where there is one), or any torch device.
    precision: of the image tower: "fp32", "bf16", "fp16", or "auto": fp16 on CUDA as released,
        else fp32 (bf16 on a CPU that has it is several times faster: see the benchmark notebook).
    compiled: let torch.compile build the tower, at the first image; on a CPU it needs a C++
        compiler, and seldom pays for data sets of less than a thousand frames.
    Raises `DepthClipError` for unknown names and for weights that do not fit the model.
    """
    device = resolve_device(device)
    precision = _resolve_precision(precision, device)
    name = str(name).replace("/", "-")
    if name == "sample":
        from depthclip_core.sample import model as sample_model  # the one way into the sample

        sample_model.register()
    elif name not in (known := open_clip.list_models()):
        raise unknown_name("encoder", name, ["sample", *known])
    tags = open_clip.list_pretrained_tags_by_model(name)
    # OpenAI's towers use QuickGELU, which open_clip's plain configurations of them do not.
    options = {"device": device, "force_quick_gelu": "openai" in tags}

    if name == "sample" and not weights:
        model = _create(name, **options)
        _load(model, sample_model.state_dict(), name, "its own weights")
        weights = "own"
    elif not weights:
        warnings.warn(f"{name} has random weights: its depths mean nothing", stacklevel=2)
        model = _create(name, **options)
        weights = "random"
    elif Path(weights).suffix in WEIGHT_FILES or Path(weights).is_file():
        model = _create(name, **options)
        _load(model, read_state_dict(Path(weights)), name, str(weights))
    elif weights in tags:
        tag = open_clip.get_pretrained_cfg(name, str(weights))
        options["force_quick_gelu"] = bool(tag.get("quick_gelu")) or name.endswith("-quickgelu")
        try:
            model = _create(name, pretrained=str(weights), **options)
        except Exception as error:  # whatever the download or the hub raises
            raise DepthClipError(
                f"cannot download the {weights!r} weights of {name} ({_first_line(error)}): fetch "
                "them where there is a network, and give their path as weights"
            ) from error
    else:
        raise unknown_name(f"weights of {name}", weights, tags or ["a path to a state dict"])
    tokenizer = open_clip.get_tokenizer(name)
    return Encoder(model, tokenizer, name, str(weights), precision, compiled)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name from .safetensors, or from .pt without unpickling code; on the CPU."""
    if not path.is_file():
        raise DepthClipError(f"no weights file at {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():  # TorchScript is deprecated, OpenAI's files are not
            warnings.simplefilter("ignore")
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
            except RuntimeError as error:
                if "TorchScript" not in str(error):
                    raise
                state = dict(torch.jit.load(path, map_location="cpu").state_dict())
    except Exception as error:  # each format fails in its own ways; to a user they are one
        raise DepthClipError(f"cannot read weights from {path}: {_first_line(error)}") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else None
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise DepthClipError(f"{path} holds no state dict: tensors by name are wanted")
    not_weights = {"input_resolution", "context_length", "vocab_size"}  # in OpenAI's own files
    return {key.removeprefix("module."): t for key, t in state.items() if key not in not_weights}


def _checksum(state: Mapping[str, Tensor]) -> str:
    """sha256 of tensors and their names, 16 hex digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _create(name: str, **options) -> torch.nn.Module:
    with _quiet():
        return open_clip.create_model(name, **options)


def _load(model: torch.nn.Module, state: dict[str, Tensor], name: str, source: str) -> None:
    """Copy a state dict into a model; any key too few or many, any other shape is an error."""
    own = {key: tensor.shape for key, tensor in model.state_dict().items()}
    wrong = {
        "missing": own.keys() - state.keys(),
        "unknown": state.keys() - own.keys(),
        "of another shape": {
            key for key in own.keys() & state.keys() if own[key] != state[key].shape
        },
    }
    wrong = {fault: sorted(keys) for fault, keys in wrong.items() if keys}
    if wrong:
        faults = "; ".join(
            f"{len(k)} tensors {fault}, such as {k[0]}" for fault, k in wrong.items()
        )
        raise DepthClipError(f"weights from {source} do not fit {name}: {faults}")
    model.load_state_dict(state)


def resolve_device(device: str | torch.device) -> torch.device:
    """ "auto" is CUDA where there is one; `DepthClipError` for a device that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DepthClipError(f"device {device!s} cannot be used: {_first_line(error)}") from error
    return device


def _resolve_precision(precision: str, device: torch.device) -> str:
    if precision == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, ["auto", *PRECISIONS])
    return precision


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def _quiet():
    """Without open_clip's log lines: `load_encoder` says itself what it did, or what failed."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(level)
