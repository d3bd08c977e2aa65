"""Which depth file belongs to which photograph: by the varying part of names, or by time stamp."""

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from depthclip_core.datasets.depth_files import READERS
from depthclip_core.datasets.incoming import read_text
from depthclip_core.datasets.pictures import SUFFIXES
from depthclip_core.errors import DepthClipError
from depthclip_core.text import printable

DEPTH_SUFFIXES = tuple(READERS)
MASK_SUFFIXES = (".npy", ".png")
ANY_SUFFIX = ".*"
MOST_STARS = 3  # in one name; with more, trying all that they can stand for takes minutes
TOKENS = re.compile(r"\*\*/|\*|\?|[^*?]+")


@dataclass(frozen=True)
class Pair:
    """Files of one frame, and its name: the part of the path that varies between frames."""

    name: str
    rgb: Path
    depth: Path
    mask: Path | None = None


def files_below(folder: Path) -> list[str]:
    """Every file in a folder and below it: paths relative to it, with slashes, unsorted.

    Hidden files and folders are left out, links to folders are followed. Raises `DepthClipError`
    for a folder that is missing.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise DepthClipError(f"the data set's folder {folder} {what}")
    found, seen = [], set()
    for where, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(where)) in seen:  # a link to a folder that holds it
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        below = Path(where).relative_to(folder).as_posix()
        prefix = "" if below == "." else f"{below}/"
        found += [prefix + name for name in names if not name.startswith(".")]
    return found


def matched(pattern: str, files: Sequence[str], suffixes: Sequence[str]) -> dict[tuple, str]:
    """The files that a pattern matches, by what its stars stand for.

    `*` stands for any text without a slash, `**/` for any folders or none, `?` for one character.
    `.*` at the end of a pattern stands for any of the suffixes and tells no frames apart.
    Raises `DepthClipError` where two files differ in nothing but `?` or the suffix, and for a
    pattern of too many stars.
    """
    _check_stars(pattern)
    open_end = pattern.endswith(ANY_SUFFIX)
    parts = TOKENS.findall(pattern[: -len(ANY_SUFFIX)] if open_end else pattern)
    stands = {"**/": "((?:[^/]+/)*)", "*": "([^/]*)", "?": "[^/]"}
    text = "".join(stands.get(part) or re.escape(part) for part in parts)
    if open_end:
        text += f"(?:{'|'.join(map(re.escape, suffixes))})"
    match = re.compile(text, re.IGNORECASE).fullmatch
    found: dict[tuple, str] = {}
    for file in files:
        if not (fits := match(file)):
            continue
        if (key := fits.groups()) in found:
            both = f"{found[key]} and {file}"
            raise DepthClipError(f"{pattern!r} matches {printable(both)} as one frame: narrow it")
        found[key] = file
    return found


def by_name(
    folder: Path, rgb: str, depth: str, mask: str | None = None, unpaired: str = "refuse"
) -> list[Pair]:
    """Pairs of files whose patterns' stars stand for the same text, in natural order of names.

    rgb, depth, mask: patterns relative to the folder, see `matched`, with the same stars.
    unpaired: "skip" leaves out photographs without depth, depth without a photograph, and pairs
    without a mask; "refuse" raises `DepthClipError`. So do patterns that match nothing.
    """
    patterns = {"rgb": rgb, "depth": depth} | ({"mask": mask} if mask else {})
    stars = {kind: _stars(pattern) for kind, pattern in patterns.items()}
    if len(set(map(tuple, stars.values()))) > 1 or not stars["rgb"]:
        given = ", ".join(f"{kind} = {pattern!r}" for kind, pattern in patterns.items())
        raise DepthClipError(f"{given}: give each pattern the same stars, at least one, as names")
    files = files_below(folder)
    allowed = {"rgb": SUFFIXES, "depth": DEPTH_SUFFIXES, "mask": MASK_SUFFIXES}
    found = {kind: matched(text, files, allowed[kind]) for kind, text in patterns.items()}
    for kind, some in found.items():
        if not some:
            raise DepthClipError(f"no file in {folder} matches {kind} = {patterns[kind]!r}")
    common = set.intersection(*map(set, found.values()))
    odd = {kind: sorted(set(some) - common) for kind, some in found.items()}
    if not common or (unpaired == "refuse" and any(odd.values())):
        kind = next(kind for kind, keys in odd.items() if keys)
        example = printable(found[kind][odd[kind][0]])
        others = " or ".join(repr(text) for other, text in patterns.items() if other != kind)
        hint = "add them, or set unpaired = 'skip'" if common else "no file has one: see the stars"
        missing = f"{len(odd[kind])} files of {kind} have no partner of {others}"
        raise DepthClipError(f"{missing}, first {example} in {folder}: {hint}")
    pairs = [Pair(named(key), *(folder / found[kind][key] for kind in patterns)) for key in common]
    pairs.sort(key=lambda pair: natural(pair.name))
    for pair, following in pairwise(pairs):
        if pair.name == following.name:
            both = printable(f"{pair.rgb} and {following.rgb}")
            raise DepthClipError(f"{both} would have one name: write the folders into the patterns")
    return pairs


def by_time(folder: Path, rgb: str, depth: str, tolerance: float) -> list[Pair]:
    """Pairs of files by nearest time stamps, each file used once, in order of time.

    rgb, depth: lists such as TUM RGB-D's rgb.txt, with lines "seconds file" and comments after #;
    files are relative to the list. As in TUM's associate.py, closer pairs are formed first.
    tolerance: seconds by which the two may differ. Raises `DepthClipError` where no two do, and
    for lists that are missing or of another form.
    """
    times, files = zip(*(_stamped(folder / name) for name in (rgb, depth)), strict=True)
    moments = [np.array(list(map(float, some))) for some in times]
    order = np.argsort(moments[1], kind="stable")
    in_order = moments[1][order]
    starts = np.searchsorted(in_order, moments[0] - tolerance)
    ends = np.searchsorted(in_order, moments[0] + tolerance)
    close = [(i, int(order[j])) for i in range(len(starts)) for j in range(starts[i], ends[i])]
    close.sort(key=lambda ij: (abs(moments[0][ij[0]] - moments[1][ij[1]]), ij))
    partner: dict[int, int] = {}
    used: set[int] = set()
    for i, j in close:
        if i not in partner and j not in used:
            partner[i] = j
            used.add(j)
    if not partner:
        after = np.searchsorted(in_order, moments[0]).clip(1, max(len(in_order) - 1, 1))
        beside = in_order[np.stack([after - 1, after]).clip(0, len(in_order) - 1)]
        nearest = np.abs(beside - moments[0]).min()
        fault = f"no time stamps of {rgb} and {depth} in {folder} differ by less than {tolerance} s"
        raise DepthClipError(f"{fault}: the closest differ by {nearest:.3g} s")
    return [
        Pair(times[0][i], files[0][i], files[1][partner[i]])
        for i in sorted(partner, key=lambda i: moments[0][i])
    ]


def named(key: tuple[str, ...]) -> str:
    """The name of a frame, from what the stars of its patterns stand for."""
    return "/".join(part.strip("/") for part in key if part.strip("/"))


def natural(name: str) -> list:
    """A key to sort names by: numbers in them count as numbers, so that 9 comes before 10."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), part) if i % 2 else part for i, part in enumerate(parts)]


def table_rows(path: Path, pairs: Sequence[Pair]) -> dict[str, Mapping[str, str]]:
    """The rows of a CSV of frames by their `name`, in the table's order.

    Raises `DepthClipError` for a table that is missing or has no such column, and for a name that
    is given twice or that no pair has.
    """
    text = io.StringIO(read_text(path, "table"), newline="")
    try:
        reader = csv.DictReader(text)
        rows, columns = list(reader), reader.fieldnames or []
    except csv.Error as error:
        raise DepthClipError(f"cannot read the table {path}: {error}") from None
    if "name" not in columns:
        shown = printable(", ".join(map(str, columns))) or "none"
        raise DepthClipError(f"{path} has no column 'name', its columns are: {shown}")
    known, found = {pair.name for pair in pairs}, {}
    for number, row in enumerate(rows, 2):
        name = (row["name"] or "").strip()
        if name not in known:
            example = printable(pairs[0].name)
            fault = f"line {number} of {path} names {printable(name)!r}, but no pair of files has"
            raise DepthClipError(f"{fault} that name: names look like {example!r}")
        if name in found:
            raise DepthClipError(f"line {number} of {path} gives {printable(name)!r} again")
        found[name] = row
    if not found:
        raise DepthClipError(f"the table {path} has no rows")
    return found


def _check_stars(pattern: str) -> None:
    names = pattern.removesuffix(ANY_SUFFIX).replace("**/", "").split("/")
    if max(name.count("*") for name in names) > MOST_STARS or pattern.count("**/") > MOST_STARS:
        most = f"at most {MOST_STARS} stars in one name, and of **/, are tried"
        raise DepthClipError(f"{pattern!r}: {most}: write out more of the names")


def _stars(pattern: str) -> list[str]:
    bare = pattern.removesuffix(ANY_SUFFIX)
    return [part for part in TOKENS.findall(bare) if part in ("*", "**/")]


def _stamped(path: Path) -> tuple[list[str], list[Path]]:
    """Time stamps, as text, and files of a list."""
    times, files = [], []
    for number, line in enumerate(read_text(path, "list of time stamps").splitlines(), 1):
        fields = line.split("#")[0].replace(",", " ").split()
        if not fields:
            continue
        if len(fields) < 2 or not _is_time(fields[0]):
            wanted = "is not a time stamp and a file, as in '1305031102.175304 rgb/a.png'"
            raise DepthClipError(f"line {number} of {path} {wanted}")
        times.append(fields[0])
        files.append(path.parent / fields[1])
    if not times:
        raise DepthClipError(f"{path} lists no files")
    return times, files


def _is_time(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
