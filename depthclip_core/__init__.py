"""DepthCLIP: depth from one photograph with CLIP and no training, its pipeline and its metrics.

Names are imported when they are first used: whoever reads a data set needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from depthclip_core.analysis.setup import Run, open_run
    from depthclip_core.clip.encoders import Encoder, load_encoder
    from depthclip_core.datasets import Frame, open_dataset
    from depthclip_core.errors import DepthClipError
    from depthclip_core.evaluation.baselines import (
        best_constants,
        constant_depth,
        lower_bound,
        random_depth,
    )
    from depthclip_core.evaluation.metrics import evaluate, summarise
    from depthclip_core.method.pipeline import predict_depth

_HOMES = {
    "DepthClipError": "errors",
    "Encoder": "clip.encoders",
    "Frame": "datasets",
    "Run": "analysis.setup",
    "best_constants": "evaluation.baselines",
    "constant_depth": "evaluation.baselines",
    "evaluate": "evaluation.metrics",
    "load_encoder": "clip.encoders",
    "lower_bound": "evaluation.baselines",
    "open_dataset": "datasets",
    "open_run": "analysis.setup",
    "predict_depth": "method.pipeline",
    "random_depth": "evaluation.baselines",
    "summarise": "evaluation.metrics",
}

__all__ = [
    "DepthClipError",
    "Encoder",
    "Frame",
    "Run",
    "best_constants",
    "constant_depth",
    "evaluate",
    "load_encoder",
    "lower_bound",
    "open_dataset",
    "open_run",
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
