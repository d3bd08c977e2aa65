"""The only file that loads CLIP: images → features, words → text vectors."""

import hashlib
import logging
import os
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
from torch import Tensor

from depthclip_core.clip import heads
from depthclip_core.clip.towers import PRECISIONS, make_tower
from depthclip_core.clip.weights import read_state_dict
from depthclip_core.devices import resolve_device
from depthclip_core.errors import DepthClipError, first_line, unknown_name
from depthclip_core.settings import OBJECT, TEMPLATES

# Of ImageNet, as released; CLIP's own differ by up to 0.05.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

# Raised when towers or heads compute anything else than before: no store answers for them then.
METHOD = 1
WEIGHT_FILES = {".safetensors", ".pt", ".pth", ".bin"}


class Encoder:
    """A frozen CLIP: uint8 images → `Features`, sentences → unit vectors, on one device.

    Attributes: name and weights, as asked for; device; precision ("fp32", "bf16" or "fp16", of
    the image tower; text and similarities are always fp32); compiled (see `load_encoder`);
    from_openai, whether the weights are OpenAI's own, by open_clip's tag or by their file's sha256.
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
        from_openai: bool = False,
    ):
        visual = _dense_tower(name, model)
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name, self.weights, self.precision = name, weights, precision
        self.from_openai = from_openai
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
        """`Features` → (B, D, h, w) fp32 by a head of `heads.HEADS`.

        A cell of which one channel is not finite is NaN: a tower in fp16 may overflow, and the
        released head would drop every other channel and with them what tells so.
        """
        vectors = heads.cell_vectors(features, self.tower.visual, head)
        total = features.cells.sum(1, keepdim=True, dtype=torch.float32)
        return vectors.masked_fill_(~total.isfinite(), torch.nan)

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
        weights and, with any other name, for random ones, said in a warning. A tag wins over
        a file of that name; "./openai" is the file.
    device: "auto" (CUDA where there is one), or any torch device.
    precision: of the image tower: "fp32", "bf16", "fp16", or "auto": fp16 on CUDA as released,
        else fp32 (bf16 on a CPU that has it is several times faster: see the benchmark notebook).
    compiled: let torch.compile build the tower, at the first image; on a CPU it needs a C++
        compiler, and seldom pays for data sets of less than a thousand frames.
    Raises `DepthClipError` for unknown names, for files that cannot be read without running their
    code, and for weights that do not fit the model or are not finite.
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
    path = _weights_path(weights, tags)
    # OpenAI's towers use QuickGELU, which open_clip's plain configurations of them do not.
    options = {"device": device, "force_quick_gelu": "openai" in tags}

    from_openai = weights == "openai"
    if path:
        state, from_openai = read_state_dict(path)
        model = _create(name, **options)
        _load(model, state, name, str(weights))
        if str(weights) in ("own", "random", *tags):  # a file of such a name is none of these
            weights = os.path.join(".", weights)
    elif name == "sample" and not weights:
        model = _create(name, **options)
        _load(model, sample_model.state_dict(), name, "its own weights")
        weights = "own"
    elif not weights:
        warnings.warn(f"{name} has random weights: its depths mean nothing", stacklevel=2)
        model = _create(name, **options)
        weights = "random"
    elif weights in tags:
        tag = open_clip.get_pretrained_cfg(name, weights)
        options["force_quick_gelu"] = bool(tag.get("quick_gelu")) or name.endswith("-quickgelu")
        model = _create(name, pretrained=weights, **options)
        _check_finite(model, f"open_clip's {weights!r} weights of {name}")
    else:
        raise unknown_name(f"weights of {name}", weights, tags or ["a path to a state dict"])
    try:
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # whatever the download or the hub raises
        raise DepthClipError(f"no tokenizer for {name}: {first_line(error)}") from error
    return Encoder(model, tokenizer, name, str(weights), precision, compiled, from_openai)


def _weights_path(weights: str | Path | None, tags: Sequence[str]) -> Path | None:
    """The file that is meant, if one is; text is a tag first."""
    if weights is not None and not isinstance(weights, str | Path):
        raise DepthClipError(f"weights are a name or a path, not {weights!r}")
    if not weights:
        return None
    if weights in tags:
        if Path(weights).exists():
            warnings.warn(
                f"weights {weights!r} are open_clip's, not the file of that name: write "
                f"'{os.path.join('.', weights)}' for the file",
                stacklevel=3,
            )
        return None
    try:
        path = Path(weights).expanduser()
        is_path = isinstance(weights, Path) or os.sep in weights or path.exists()
    except (OSError, RuntimeError) as error:  # no such home; too long a name
        reason = getattr(error, "strerror", None) or first_line(error)
        raise DepthClipError(f"no weights file at {weights}: {reason}") from error
    return path if is_path or path.suffix.lower() in WEIGHT_FILES else None


def _checksum(state: Mapping[str, Tensor]) -> str:
    """sha256 of tensors and their names, 16 hex digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _create(name: str, **options) -> torch.nn.Module:
    """An open_clip model whose tower has dense heads; without `pretrained` nothing is downloaded.

    open_clip itself reads safetensors or, weights only, pickles: it runs no code of either.
    """
    tag = options.get("pretrained")
    try:
        with _quiet(), _weights_only():
            model = open_clip.create_model(name, pretrained_text=False, **options)
    except Exception as error:  # whatever the download or the hub raises
        raise DepthClipError(
            f"cannot download or read the {tag!r} weights of {name} ({first_line(error)}): fetch "
            "them where there is a network, and give their path as weights"
            if tag
            else f"cannot build {name}: {first_line(error)}"
        ) from error
    _dense_tower(name, model)
    return model


def _dense_tower(name: str, model: torch.nn.Module) -> torch.nn.Module:
    """The model's image tower; `DepthClipError` for one that no head here can use."""
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
    return visual


def _load(model: torch.nn.Module, state: dict[str, Tensor], name: str, source: str) -> None:
    """Copy a state dict into a model.

    Any key too few or many, another shape, whole numbers, such as of quantised weights, and values
    that are not finite are errors.
    """
    own = model.state_dict()
    both = own.keys() & state.keys()
    wrong = {
        "missing": own.keys() - state.keys(),
        "unknown": state.keys() - own.keys(),
        "of another shape": {key for key in both if own[key].shape != state[key].shape},
        "of whole numbers": {
            key for key in both if own[key].is_floating_point() > state[key].is_floating_point()
        },
    }
    wrong = {fault: sorted(keys) for fault, keys in wrong.items() if keys}
    if wrong:
        faults = "; ".join(
            f"{len(k)} tensors {fault}, such as {k[0]}" for fault, k in wrong.items()
        )
        raise DepthClipError(f"weights from {source} do not fit {name}: {faults}")
    model.load_state_dict(state)
    _check_finite(model, f"weights from {source}")


def _check_finite(model: torch.nn.Module, source: str) -> None:
    """`DepthClipError` for weights with NaN or infinite values: depth would be made of them."""
    for name, tensor in model.state_dict().items():
        # A sum is ten times faster; it may overflow where no value is infinite.
        if not (tensor.sum().isfinite() or tensor.isfinite().all()):
            raise DepthClipError(f"{source} are not finite: {name} holds NaN or infinite values")


def _resolve_precision(precision: str, device: torch.device) -> str:
    if precision == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, ["auto", *PRECISIONS])
    return precision


@contextmanager
def _quiet():
    """Without open_clip's log lines: `load_encoder` says itself what it did, or what failed."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(level)


@contextmanager
def _weights_only():
    """Unpickle tensors alone, whatever an environment variable allows torch.load to do else."""
    force, allow = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = {name: os.environ.pop(name, None) for name in (force, allow)}
    os.environ[force] = "1"
    try:
        yield
    finally:
        del os.environ[force]
        os.environ.update({name: value for name, value in before.items() if value is not None})
