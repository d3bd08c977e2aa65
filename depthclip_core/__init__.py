"""DepthCLIP: depth from one photograph with CLIP and no training, its pipeline and its metrics.

Names are imported when they are first used: whoever reads a data set needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # each name twice: so that type checkers know that it is exported
    from depthclip_core.analysis.setup import Run as Run
    from depthclip_core.analysis.setup import open_run as open_run
    from depthclip_core.clip.encoders import Encoder as Encoder
    from depthclip_core.clip.encoders import load_encoder as load_encoder
    from depthclip_core.datasets import Frame as Frame
    from depthclip_core.datasets import open_dataset as open_dataset
    from depthclip_core.errors import DepthClipError as DepthClipError
    from depthclip_core.evaluation.baselines import best_constants as best_constants
    from depthclip_core.evaluation.baselines import constant_depth as constant_depth
    from depthclip_core.evaluation.baselines import lower_bound as lower_bound
    from depthclip_core.evaluation.baselines import random_depth as random_depth
    from depthclip_core.evaluation.metrics import evaluate as evaluate
    from depthclip_core.evaluation.metrics import summarise as summarise
    from depthclip_core.method.pipeline import predict_depth as predict_depth

_PUBLIC = {
    "analysis.setup": ("Run", "open_run"),
    "clip.encoders": ("Encoder", "load_encoder"),
    "datasets": ("Frame", "open_dataset"),
    "errors": ("DepthClipError",),
    "evaluation.baselines": ("best_constants", "constant_depth", "lower_bound", "random_depth"),
    "evaluation.metrics": ("evaluate", "summarise"),
    "method.pipeline": ("predict_depth",),
}
_HOMES = {name: module for module, names in _PUBLIC.items() for name in names}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
