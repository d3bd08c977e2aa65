"""open_clip itself, imported when a network is first built: the import takes seconds."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

import torch

from depthclip_core.clip.configurations import Configuration
from depthclip_core.errors import DepthClipError, first_line
from depthclip_core.sample import model as sample_model

# What torchvision.ops.roi_align and open_clip.timm_model import of each module.
STAND_INS = {
    "torch._dynamo.utils": ["is_compile_supported"],
    "timm": ["create_model"],
    "timm.layers": ["AttentionPool2d", "Mlp", "RotAttentionPool2d", "to_2tuple"],
}


def load_open_clip() -> ModuleType:
    """The package, with the sample's model among its own."""
    with light_imports():
        package = import_module("open_clip")
    if "sample" not in package.list_models():
        package.add_model_config(sample_model.CONFIG)
    return package


def create_model(
    configuration: Configuration, device: torch.device, pretrained: str | None = None
) -> torch.nn.Module:
    """An fp32 model, with random weights or those of a file in one of open_clip's own formats.

    open_clip reads safetensors or, weights only, pickles: it runs no code of either. Nothing is
    downloaded. Raises `DepthClipError` for a file that open_clip cannot read.
    """
    options = {"force_quick_gelu": configuration.quick_gelu, "pretrained": pretrained}
    options |= {"device": device, "pretrained_text": False}
    try:
        with quiet(), _weights_only():
            return load_open_clip().create_model(configuration.name, **options)
    except Exception as error:  # whatever a file or a missing package makes open_clip raise
        source = f" from {pretrained}" if pretrained else ""
        fault = f"cannot build {configuration.name}{source}"
        raise DepthClipError(f"{fault}: {first_line(error)}") from error


def get_tokenizer(name: str):
    """A model's tokenizer: sentences → (N, tokens) int64."""
    try:
        return load_open_clip().get_tokenizer(name)
    except Exception as error:  # whatever the download or the hub raises
        raise DepthClipError(f"no tokenizer for {name}: {first_line(error)}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without open_clip's log lines: `load_encoder` says itself what it did, or what failed."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(level)


@contextmanager
def _weights_only() -> Iterator[None]:
    """Let torch.load unpickle tensors only, whatever environment variables would allow."""
    force, allow = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = {name: os.environ.pop(name) for name in (force, allow) if name in os.environ}
    os.environ[force] = "1"
    try:
        yield
    finally:
        del os.environ[force]
        os.environ.update(before)


@contextmanager
def light_imports() -> Iterator[None]:
    """Import open_clip without two packages that no network here needs: they take 5 s.

    torchvision imports a function of `torch._dynamo`, torch's compiler; open_clip imports a few of
    timm, which imports the compiler too, for towers without dense heads. While the block runs,
    stand-ins offer these functions, unless the real modules are loaded already.
    """
    stand_ins = [
        _StandIn(name)
        for name in STAND_INS
        if not {name, name.removesuffix(".utils"), name.removesuffix(".layers")} & {*sys.modules}
    ]
    sys.modules.update({stand_in.__name__: stand_in for stand_in in stand_ins})
    try:
        yield
    finally:
        for stand_in in stand_ins:
            stand_in.leave()


class _StandIn(ModuleType):
    """A module whose functions in `STAND_INS` import the real module only when they are called."""

    def __init__(self, name: str):
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)  # transformers, where installed, asks for timm's

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # what the import system asks of any module
            raise AttributeError(name)
        if name in STAND_INS[self.__name__]:
            return lambda *args, **options: getattr(self.real(), name)(*args, **options)
        return getattr(self.real(), name)

    def real(self) -> ModuleType:
        self.leave()
        return import_module(self.__name__)

    def leave(self) -> None:
        """Make way for the real module."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
