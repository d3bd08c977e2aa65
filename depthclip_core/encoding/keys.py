"""Keys of stored arrays: made of the settings that an array depends on, and of nothing else."""

import hashlib
import json
import math
from collections.abc import Mapping

from depthclip_core.errors import DepthClipError

FORMAT = 2  # part of every key, so that no format reads another's files


def key_of(plain_settings: dict, chunk: int) -> str:
    """16 hex digits. plain_settings: as `plain` returns them. chunk: frames in a chunk."""
    canonical = json.dumps([FORMAT, chunk, plain_settings], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def plain(value: object, where: str) -> object:
    """The value as JSON keeps it; `DepthClipError` if JSON would change it.

    where: names it in the error.
    """
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {str(key): plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (str, int, float):
        if isinstance(value, kind) and value == value and value not in (math.inf, -math.inf):
            return kind(value)
    raise DepthClipError(
        f"{where} is {value!r}: the settings of a stored array are text, finite numbers, bools, "
        "None, and lists of them and mappings from text to them"
    )
