"""Which file holds the weights that a user names: a path, or a tag that open_clip downloads."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

from depthclip_core.clip.configurations import (
    Configuration,
    download_weights,
    fetched_weights,
    openai_checksums,
    pretrained_tags,
)
from depthclip_core.clip.library import quiet
from depthclip_core.clip.towers import COMPUTATION_VERSION
from depthclip_core.errors import DepthClipError, Notice, first_line
from depthclip_core.files import CHECKSUMS, Notes, checksums
from depthclip_core.settings import WEIGHT_FILES, store_folder


def given_path(encoder: str, weights: str | Path | None) -> Path | None:
    """The file that the weights of an encoder name; None for a tag, and where none are named."""
    return weights_path(weights, pretrained_tags(str(encoder).replace("/", "-")))


def weights_path(weights: str | Path | None, tags: Mapping[str, dict]) -> Path | None:
    """The weights file that the user means, if any; a string is a tag first."""
    if weights is not None and not isinstance(weights, str | Path):
        raise DepthClipError(f"weights are a name or a path, not {weights!r}")
    if not weights:
        return None
    if weights in tags:
        if Path(weights).exists():
            file = f"write '{os.path.join('.', weights)}' for the file"
            says = f"weights {weights!r} are open_clip's, not the file of that name: {file}"
            warnings.warn(says, Notice, stacklevel=3)
        return None
    try:
        path = Path(weights).expanduser()
        is_path = isinstance(weights, Path) or os.sep in weights or path.exists()
    except (OSError, RuntimeError) as error:  # no such home; too long a name
        reason = getattr(error, "strerror", None) or first_line(error)
        raise DepthClipError(f"no weights file at {weights}: {reason}") from error
    return path if is_path or path.suffix.lower() in WEIGHT_FILES else None


def downloaded(tag: str, entry: dict, configuration: Configuration) -> Path:
    """The file of a tag, which open_clip downloads unless it is there. entry: open_clip's."""
    path = Path(str(notes().read().get(f"{configuration.name} {tag}", "")))
    if path.is_file() and fits(file_checksum(path), configuration):
        return path
    fetched = fetched_weights(configuration.name) if tag == "openai" else None
    if fetched and fetched.is_file() and file_checksum(fetched) in openai_checksums().values():
        return fetched
    try:
        with quiet():
            return download_weights(entry)
    except Exception as error:  # whatever the download or the hub raises
        other = f"`depthclip fetch clip --model {configuration.name}`, or " if fetched else ""
        raise DepthClipError(
            f"cannot download the {tag!r} weights of {configuration.name} ({first_line(error)}): "
            f"try {other}download them where there is a network, and give their path as weights"
        ) from error


def fits(digest: str, configuration: Configuration) -> bool:
    """Whether this store has seen that a file's weights fit the model."""
    return notes().read().get(mark(digest, configuration)) is True


def mark(digest: str, configuration: Configuration) -> str:
    return f"{digest} {configuration.name} {configuration.checksum} {COMPUTATION_VERSION}"


def file_checksum(path: Path) -> str:
    return checksums([path], Notes(store_folder() / CHECKSUMS))[0]


def notes() -> Notes:
    """Which weights files fit which models, and where open_clip keeps what it downloaded."""
    return Notes(store_folder() / "depthclip-weights.json")
