"""The command `depthclip dashboard`: the explorers on one page in a browser."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, get_args

import typer

from depthclip_core.errors import DepthClipError, unknown_name

THEMES = ("light", "dark")


def dashboard(
    dataset: Annotated[
        str, typer.Option(help="sample, nyu, kitti, sunrgbd, pairs or photos.")
    ] = "sample",
    data: Annotated[
        Path | None,
        typer.Option(help="Folder or file of the data set.", show_default="its usual place"),
    ] = None,
    split: Annotated[str, typer.Option(help="test, train or all.")] = "test",
    encoder: Annotated[str, typer.Option(help="sample, or a model of open_clip.")] = "sample",
    weights: Annotated[
        str | None,
        typer.Option(
            help="openai, another tag of open_clip, or a file.", show_default="the sample's own"
        ),
    ] = None,
    head: Annotated[
        str, typer.Option(help="Beside DepthCLIP's own: value or attention.")
    ] = "value",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Tried first; if taken, the next that is free.")
    ] = 8866,
    theme: Annotated[str, typer.Option(help="light or dark.")] = "light",
    browser: Annotated[bool, typer.Option("--browser", help="Open the page in a browser.")] = False,
) -> None:
    """Serve a page to explore frames and photographs: cells, words, bins, both heads side by side.

    It listens on this machine alone and prints its address, with a token. Ctrl-C ends it.
    """
    from depthclip_core.choices import Head
    from depthclip_core.datasets import dataset_class, open_dataset

    if find_spec("voila") is None:
        raise DepthClipError("the dashboard needs voila: make dashboard installs and starts it")
    if theme not in THEMES:
        raise unknown_name("theme", theme, THEMES)
    if head not in get_args(Head):
        raise unknown_name("head", head, get_args(Head))
    # Checked here, where an error ends the command; the page checks the network, in seconds.
    kind = dataset_class(dataset)
    if dataset == "photos":
        split = "all"
    preprocessing = kind.published_preprocessing
    open_dataset(dataset, split, data=data, released_preprocessing=preprocessing).close()

    # jsonschema would parse a grammar of web addresses with it, for two seconds; none is checked.
    sys.modules.setdefault("rfc3987_syntax", None)
    from depthclip_core.widgets.dashboard_server import serve

    given = {"dataset": dataset, "split": split, "data": str(data) if data else None}
    given |= {"encoder": encoder, "weights": weights, "head": head, "device": device}
    serve(given, port=port, theme=theme, browser=browser)
