"""One line for what went wrong, read out when it appears."""

from depthclip_core.errors import DepthClipError
from depthclip_core.text import as_markup


def as_alert(text: str) -> str:
    """The text as HTML on one line, escaped; empty if there is none."""
    line = as_markup(" ".join(text.split()))
    return line and f'<div class="depthclip-error" role="alert">{line}</div>'


def fault_of(error: Exception) -> str:
    """What went wrong, in words for a user."""
    return str(error) if isinstance(error, DepthClipError) else f"{type(error).__name__}: {error}"
