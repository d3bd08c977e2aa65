"""`--dataset NAME` and `--data PATH`, and the older spellings that commands still understand."""

from pathlib import Path
from typing import Annotated

import typer

from depthclip_core.cli.lines import say
from depthclip_core.datasets import REGISTRY
from depthclip_core.errors import DepthClipError

DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset", help="The data set: nyu, kitti, sunrgbd, pairs or sample.", show_default=False
    ),
]
OlderPath = Annotated[Path | None, typer.Option("--path", hidden=True)]


def name_and_path(
    dataset: str | None, data: Path | None, path: Path | None
) -> tuple[str | None, Path | None]:
    """The name of a data set, and where it lies; either may be None.

    `data` was once the name, and `path` the folder. `data` is still taken as the name where it can
    be nothing else: no `dataset` is given, it names a known kind, and the folder is given too or
    nothing of that name exists. A line on stderr then says what to write. Raises `DepthClipError`
    where the folder is given twice.
    """
    kind = None if data is None else str(data)
    if dataset is None and kind in REGISTRY and (path is not None or not data.exists()):
        say(f"note: {kind} is a data set's name: write --dataset {kind}", err=True)
        return kind, path
    if data is not None and path is not None:
        raise DepthClipError(f"the data is given twice, {data} and {path}: leave one out")
    return dataset, path if data is None else data


def required_name(
    dataset: str | None, data: Path | None, path: Path | None
) -> tuple[str, Path | None]:
    """As `name_and_path`; `DepthClipError` where the name is missing."""
    name, where = name_and_path(dataset, data, path)
    if name is None:
        raise DepthClipError(f"say which data set it is, with --dataset: {', '.join(REGISTRY)}")
    return name, where
