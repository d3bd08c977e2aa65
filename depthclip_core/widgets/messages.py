"""One line for what went wrong, read out when it appears."""

from ipywidgets import HTML

from depthclip_core.errors import DepthClipError
from depthclip_core.text import as_markup


def as_alert(text: str) -> str:
    """The text as HTML on one line, escaped; empty if there is none."""
    line = as_markup(" ".join(text.split()))
    return line and f'<div class="depthclip-error" role="alert">{line}</div>'


def show_fault(message: HTML, error: Exception | None) -> None:
    """Show what went wrong, or nothing, where the page shows messages."""
    message.value = "" if error is None else as_alert(fault_of(error))


def fault_of(error: Exception) -> str:
    """What went wrong, in words for a user."""
    return str(error) if isinstance(error, DepthClipError) else f"{type(error).__name__}: {error}"
