"""What the dashboard says above and below its picture, as HTML; names are shown as text."""

from collections.abc import Sequence

from depthclip_core.analysis.comparability import run_caption
from depthclip_core.analysis.own_photo import expectations
from depthclip_core.analysis.setup import Run
from depthclip_core.clip.encoders import Encoder
from depthclip_core.method.photo_depths import network_title, resolve_setting
from depthclip_core.text import as_markup


def heading(run: Run, photo: str | None = None) -> str:
    """The page's title, and what is shown: a run's frames, or a photograph of this name."""
    shown = run_caption(run.frames, run.encoder)
    if photo is not None:
        shown = f"your photograph {photo}; {network_title(run.encoder)}"
    return f"<h1>DepthCLIP</h1> {as_markup(shown)}"


def photo_note(encoder: Encoder, words: Sequence[str], bins: Sequence[float]) -> str:
    """Which network sees a photo, and what its depths can mean."""
    known = expectations(encoder, resolve_setting(words, bins))
    return as_markup(f"Network: {network_title(encoder)}; {known}.")
