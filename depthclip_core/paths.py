"""Paths as users write them."""

from pathlib import Path

from depthclip_core.errors import DepthClipError


def user_path(path: str | Path) -> Path:
    """The path with the user's home for `~`; `DepthClipError` for a user who does not exist."""
    try:
        expanded = Path(path).expanduser()
    except RuntimeError:
        raise DepthClipError(f"{path} starts with the home of an unknown user") from None
    if "\0" in str(expanded):
        raise DepthClipError(f"{str(expanded)!r} cannot be a path: it holds a null character")
    return expanded
