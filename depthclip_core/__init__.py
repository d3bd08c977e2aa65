"""DepthCLIP: depth from one photograph with CLIP and no training, its pipeline and its metrics.

Names are imported when they are first used: whoever reads a data set needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from depthclip_core.baselines import best_constants, constant_depth, lower_bound, random_depth
    from depthclip_core.datasets import Frame, open_dataset
    from depthclip_core.encoders import Encoder, load_encoder
    from depthclip_core.errors import DepthClipError
    from depthclip_core.metrics import evaluate, summarise
    from depthclip_core.pipeline import predict_depth

_HOMES = {
    "DepthClipError": "errors",
    "Encoder": "encoders",
    "Frame": "datasets",
    "best_constants": "baselines",
    "constant_depth": "baselines",
    "evaluate": "metrics",
    "load_encoder": "encoders",
    "lower_bound": "baselines",
    "open_dataset": "datasets",
    "predict_depth": "pipeline",
    "random_depth": "baselines",
    "summarise": "metrics",
}

__all__ = [
    "DepthClipError",
    "Encoder",
    "Frame",
    "best_constants",
    "constant_depth",
    "evaluate",
    "load_encoder",
    "lower_bound",
    "open_dataset",
    "predict_depth",
    "random_depth",
    "summarise",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
