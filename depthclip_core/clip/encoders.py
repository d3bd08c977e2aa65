"""A frozen CLIP: images → features, sentences → text vectors."""

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from threading import RLock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from depthclip_core.clip import heads
from depthclip_core.clip.configurations import (
    Configuration,
    fetched_weights,
    openai_checksums,
    pretrained_tags,
    read_configuration,
)
from depthclip_core.clip.library import create_model, get_tokenizer
from depthclip_core.clip.sentences import (
    check_sentences,
    mean_over_templates,
    sentences_of,
    tokens_of,
)
from depthclip_core.clip.towers import (
    COMPUTATION_VERSION,
    PRECISIONS,
    Tower,
    check_compiler,
    heads_dtype,
    make_tower,
)
from depthclip_core.clip.weight_paths import (
    downloaded,
    file_checksum,
    fits,
    mark,
    notes,
    weights_path,
)
from depthclip_core.clip.weights import (
    check_file,
    check_finite,
    load_weights,
    read_state_dict,
    tensor_checksum,
)
from depthclip_core.devices import card_precisions, device_name, has_bf16, resolve_device
from depthclip_core.errors import DepthClipError, Notice, unknown_name
from depthclip_core.sample import model as sample_model
from depthclip_core.settings import OBJECT, TEMPLATES

# ImageNet's, as released; CLIP's own differ by up to 0.05.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SENTENCES = 256  # encoded at once: as much memory as one NYU frame in the image tower


class _once(cached_property):
    """A cached property that several threads compute once."""

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        with instance._lock:
            return super().__get__(instance, owner)


@dataclass(eq=False, repr=False)
class Encoder:
    """A frozen CLIP: uint8 images → `Features`, sentences → unit vectors, on one device.

    build: makes the fp32 open_clip model on the device. It is called once, when the network is
        first needed.
    configuration, weights, device: what `load_encoder` resolved; name, stride, width (D),
        channels (C) and image_side are the configuration's.
    precision: of the image tower, "fp32", "bf16" or "fp16"; text and similarities are fp32 always.
    compiled: see `load_encoder`. from_openai: whether the weights are OpenAI's own.
    checksum: gives the sha256 of the weights file; None: that of the model's tensors is used.
    """

    build: Callable[[], torch.nn.Module]
    configuration: Configuration
    weights: str
    device: torch.device
    precision: str = "fp32"
    compiled: bool = False
    checksum: Callable[[], str] | None = None
    from_openai: bool = False

    def __post_init__(self):
        self._lock, self.name = RLock(), self.configuration.name
        self.stride, self.width = self.configuration.stride, self.configuration.width
        self.channels, self.image_side = self.configuration.channels, self.configuration.image_side
        # Made once: sent with each batch they would make a GPU wait.
        self._mean, self._std = (torch.tensor(v, device=self.device) for v in (MEAN, STD))

    def __repr__(self) -> str:
        return f"Encoder({self.name}, weights={self.weights}, {self.device}, {self.precision})"

    @_once
    def model(self) -> torch.nn.Module:
        """The fp32 open_clip model."""
        return self.build().eval().requires_grad_(False)

    @_once
    def tower(self) -> Tower:
        """The image tower, ready to run."""
        return make_tower(self.model.visual, self.precision, self.compiled)

    @_once
    def tokenizer(self):
        return get_tokenizer(self.name)

    def built(self) -> "Encoder":
        """This encoder with its network, which is built now unless it was before."""
        _ = self.tower, self.tokenizer
        return self

    @property
    def visual(self) -> torch.nn.Module:
        return self.model.visual

    @_once
    def identity(self) -> dict:
        """Which network this is: text vectors depend on nothing else."""
        return {
            "name": self.name,
            "weights": self.checksum() if self.checksum else tensor_checksum(self.model),
            "configuration": self.configuration.checksum,
            "computation": COMPUTATION_VERSION,
        }

    @property
    def arithmetic(self) -> dict:
        """What image vectors depend on beside the network: constants and precisions."""
        heads = str(heads_dtype(self.precision, self.device))
        return {"mean": MEAN, "std": STD, "precision": self.precision, "heads": heads}

    def grid(
        self, height: int, width: int, own_size: tuple[int, int] | None = None
    ) -> tuple[int, int]:
        """Rows and columns of cells for an image of that many pixels: 416 x 544 → (13, 17).

        own_size: (H, W) of the photograph that was shrunk to these pixels, for the error.
        Raises `DepthClipError` for an image smaller than a cell.
        """
        if min(height, width) < self.stride:
            cell = f"one cell of {self.name}, {self.stride} x {self.stride} pixels"
            image = f"an image of {height} x {width} pixels"
            if own_size not in (None, (height, width)):
                image = "a photograph of {} x {} pixels, ".format(*own_size)
                image += f"shrunk to {height} x {width},"
            raise DepthClipError(f"{image} is smaller than {cell}")
        return height // self.stride, width // self.stride

    def normalise(self, images: np.ndarray | Tensor) -> Tensor:
        """RGB (B, H, W, 3), 0 to 255 → the network's input (B, 3, H, W) fp32, on its device."""
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
        """`Features` → (B, D, h, w) fp32 by a head of `heads.HEADS`, or "backbone" with D = C.

        A cell is NaN if one of its channels is not finite, also if the released head drops that.
        """
        vectors = heads.resolve_head(head, compared=False)(features, self.tower.visual)
        total = features.cells.sum(1, keepdim=True, dtype=torch.float32)
        return vectors.masked_fill_(~total.isfinite(), torch.nan)

    @torch.inference_mode()
    def image_vectors(self, features: heads.Features) -> Tensor:
        """`Features` → (B, D) fp32 unit vectors, CLIP's own embedding of whole images."""
        return heads.image_vectors(features, self.tower.visual)

    @torch.inference_mode()
    def encode_text(self, sentences: Sequence[str]) -> Tensor:
        """N sentences → (N, D) fp32 unit vectors, a bounded number at once.

        Raises `DepthClipError` for a sentence that is longer than the text tower reads.
        """
        sentences = check_sentences(sentences)
        vectors = [torch.empty(0, self.width, device=self.device)]
        for start in range(0, len(sentences), SENTENCES):
            tokens = tokens_of(sentences[start : start + SENTENCES], self.tokenizer)
            vectors.append(self.model.encode_text(tokens.to(self.device)).float())
        return F.normalize(torch.cat(vectors), dim=-1)

    def check_lengths(self, sentences: Sequence[str]) -> None:
        """`DepthClipError` for a sentence that is longer than the text tower reads."""
        sentences, short = check_sentences(sentences), self.configuration.context - 2
        # A token has at least one letter: without a long sentence no tokenizer is needed.
        if not all(sentence.isascii() and len(sentence) <= short for sentence in sentences):
            for start in range(0, len(sentences), SENTENCES):
                tokens_of(sentences[start : start + SENTENCES], self.tokenizer)

    def text_vectors(
        self, words: Sequence[str], templates: Sequence[str] = TEMPLATES, noun: str = OBJECT
    ) -> Tensor:
        """K distance words → (K, D) fp32 unit vectors, each the mean over its sentences.

        Templates hold the fields {object} and {distance}: "This {object} is {distance}".
        """
        return mean_over_templates(self.encode_text(sentences_of(words, templates, noun)), words)


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
    weights: "openai" or another open_clip tag, downloaded by open_clip unless `depthclip fetch
        clip` has fetched OpenAI's file; a path to a state dict
        (.safetensors, .pt, also OpenAI's original TorchScript file); or None for the sample's own
        weights and, with any other name, for random ones, which a warning says. A tag wins over
        a file of that name; "./openai" is the file.
    device: "auto" (CUDA where there is one), or any torch device.
    precision: of the image tower: "fp32", "bf16", "fp16", or "auto": fp16 on CUDA as released,
        else fp32. bf16 is several times faster than fp32 on a CPU with bf16 instructions (AVX-512
        BF16, AMX), and several times slower on any other, which a warning says.
    compiled: let torch.compile build the tower, at the first image; on a CPU it needs a C++
        compiler, and seldom pays for data sets of less than a thousand frames.
    The network is built when it is first needed, or at once for weights that are new to the store.
    Raises `DepthClipError` for unknown names, files that cannot be read without running their code,
    and weights that do not fit the model or are not finite.
    """
    device = resolve_device(device)
    precision = _resolve_precision(precision, device)
    if compiled:
        check_compiler(device)
    name = str(name).replace("/", "-")
    tags = pretrained_tags(name)
    # OpenAI's towers use QuickGELU, which open_clip's plain configurations of them do not.
    configuration = read_configuration(name, quick_gelu="openai" in tags)
    options = {"device": device, "precision": precision, "compiled": compiled}
    if path := weights_path(weights, tags):
        shown = str(weights)
        if shown in ("own", "random", *tags):  # a file of such a name is none of these
            shown = os.path.join(".", shown)
        check_file(path)
        path = path.absolute()  # the working folder may change before the network is built
        from_openai = file_checksum(path) in openai_checksums().values()
        return _from_file(path, configuration, shown, options | {"from_openai": from_openai})
    if weights:
        if weights not in tags:
            raise unknown_name(f"weights of {name}", weights, tags or ["a path to a state dict"])
        configuration = read_configuration(name, bool(tags[weights].get("quick_gelu")))
        path = downloaded(weights, tags[weights], configuration)
        options["from_openai"] = weights == "openai"
        is_tag = path != fetched_weights(name)
        encoder = _from_file(path, configuration, weights, options, is_tag)
        if is_tag:
            notes().add({f"{name} {weights}": str(path)})
        return encoder
    if name == "sample":
        check_file(sample_model.WEIGHTS)

        def build() -> torch.nn.Module:
            model = create_model(configuration, device)
            load_weights(model, sample_model.state_dict(), "sample", "this package")
            return model

        checksum = partial(file_checksum, sample_model.WEIGHTS)
        return Encoder(build, configuration, "own", **options, checksum=checksum)
    warnings.warn(f"{name} has random weights: its depths mean nothing", Notice, stacklevel=2)
    build = partial(create_model, configuration, device)
    return Encoder(build, configuration, "random", **options).built()


def _from_file(
    path: Path, configuration: Configuration, weights: str, options: dict, is_tag: bool = False
) -> Encoder:
    """The encoder of a file, built at once unless this store has seen that its weights fit.

    weights: how the user named the file; is_tag: as a tag, so that open_clip knows its format.
    """
    digest = file_checksum(path)

    def build() -> torch.nn.Module:
        model = create_model(configuration, options["device"], str(path) if is_tag else None)
        if is_tag:
            check_finite(model, f"open_clip's {weights!r} weights of {configuration.name}")
        else:
            load_weights(model, read_state_dict(path), configuration.name, weights)
        if file_checksum(path) != digest:
            raise DepthClipError(f"{path} has changed since its encoder was loaded: load it again")
        return model

    encoder = Encoder(build, configuration, weights, **options, checksum=lambda: digest)
    if not fits(digest, configuration):
        encoder.built()
        notes().add({mark(digest, configuration): True})
    return encoder


def _resolve_precision(precision: str, device: torch.device) -> str:
    if precision == "auto":
        return "fp16" if device.type == "cuda" and "fp16" in card_precisions(device) else "fp32"
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise unknown_name("precision", precision, ["auto", *PRECISIONS])
    if device.type == "cuda" and precision not in card_precisions(device):
        fast = " or ".join(card_precisions(device))
        raise DepthClipError(f"{device_name(device)} does not compute in {precision}: use {fast}")
    if precision == "bf16" and device.type == "cpu" and not has_bf16():
        says = "this processor has no bf16 instructions: precision bf16 is slower here than fp32"
        warnings.warn(says, Notice, stacklevel=3)
    return precision
