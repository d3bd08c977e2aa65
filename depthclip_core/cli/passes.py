"""The commands `depthclip encode` and `depthclip sweep`: passes into the store, and scores."""

import os
from pathlib import Path
from typing import Annotated

import typer

from depthclip_core.cli.lines import say
from depthclip_core.cli.options import (
    ClusterName,
    DataPath,
    DatasetName,
    DeviceName,
    EncoderName,
    PrecisionName,
    Quiet,
    SplitName,
    StoredType,
    StoreFolder,
    WeightsName,
    Words,
)
from depthclip_core.cli.store import count
from depthclip_core.errors import DepthClipError, first_line
from depthclip_core.files import read_json, user_path, write_whole
from depthclip_core.text import size_text

Heads = Annotated[str, typer.Option(help="Heads with commas: released, value, attention.")]


def encode(
    dataset: DatasetName = "sample",
    data: DataPath = None,
    split: SplitName = "test",
    encoder: EncoderName = "sample",
    weights: WeightsName = None,
    heads: Heads = "released,value",
    words: Annotated[
        str | None,
        typer.Option(
            help="Keep similarities with these words alone: published, or your own: near,far.",
            show_default="vectors, for any words",
        ),
    ] = None,
    device: DeviceName = "auto",
    precision: PrecisionName = "auto",
    compiled: Annotated[bool, typer.Option("--compiled", help="Let torch.compile help.")] = False,
    store: StoreFolder = None,
    dtype: StoredType = "float32",
    cluster: ClusterName = None,
    quiet: Quiet = False,
) -> None:
    """Take a data set through the network once, into the store.

    Notebooks and sweeps then read what they need from there. The same command after an
    interruption goes on where it ended, and several at once share the work.
    """
    from depthclip_core.cluster import passes
    from depthclip_core.cluster.clients import connected
    from depthclip_core.cluster.work import Work
    from depthclip_core.settings import resolve_prompts

    words = None if words is None else resolve_prompts(words)
    heads = tuple(part.strip() for part in heads.split(","))
    how = {"store": store, "device": device, "precision": precision, "compiled": compiled}
    how |= {"dtype": dtype}
    work = Work(dataset, split, data, encoder, weights, heads, words, **how).checked()
    if cluster is None:
        arrays = work.encode(not quiet)
    else:
        with connected(cluster, announce=not quiet) as client:
            arrays = passes.encode(client, work, progress=not quiet)
    for array in arrays:
        frames, size = count(array.n_frames, "frame"), size_text(array.size)
        say(f"{array.settings['head']}: {frames}, {size}, in {array.folder}")


def sweep(
    dataset: DatasetName = "sample",
    data: DataPath = None,
    split: SplitName = "test",
    encoder: EncoderName = "sample",
    weights: WeightsName = None,
    head: Annotated[str, typer.Option(help="released, value or attention.")] = "released",
    words: Words = "original",
    bins: Annotated[
        list[str] | None,
        typer.Option(
            help="A partition: a published name, or metres, one for each word: 1.5,4; may be "
            "repeated.",
            show_default="original",
        ),
    ] = None,
    partitions: Annotated[
        Path | None,
        typer.Option(help="A .json file of more: {NAME: [METRES, ...], ...}."),
    ] = None,
    temperature: Annotated[
        list[float] | None,
        typer.Option(help="Of the softmax over words; may be repeated.", show_default="0.1"),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="A named protocol; may be repeated.", show_default="released"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A .csv file for the scores.", show_default="shown"),
    ] = None,
    device: DeviceName = "auto",
    precision: PrecisionName = "auto",
    store: StoreFolder = None,
    dtype: StoredType = "float32",
    cluster: ClusterName = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score partitions x temperatures x protocols on a data set: a row for each setting.

    What the store lacks is computed first: similarities alone, a hundredth of what vectors take.
    """
    from depthclip_core.cluster import passes
    from depthclip_core.cluster.clients import connected
    from depthclip_core.cluster.questions import Question
    from depthclip_core.cluster.work import Work
    from depthclip_core.settings import TEMPERATURE, resolve_bins, resolve_prompts

    out = None if out is None else user_path(out)
    if out is not None and out.suffix.lower() != ".csv":
        raise DepthClipError(f"scores go into a .csv file, not {out.name!r}")
    if out is not None and os.path.lexists(out) and not force:
        raise DepthClipError(f"{out} exists: choose another file, or pass --force")
    resolved = resolve_prompts(words)
    named = {text: resolve_bins(text, len(resolved)) for text in bins or []}
    for name, metres in _partitions(partitions).items():
        named[name] = resolve_bins(metres, len(resolved))
    named = named or {"original": resolve_bins("original", len(resolved))}
    where = {"store": store, "device": device, "precision": precision, "dtype": dtype}
    work = Work(dataset, split, data, encoder, weights, (head,), resolved, **where)
    question = Question(tuple(temperature or [TEMPERATURE]), tuple(protocol or ["released"]))
    if cluster is None:
        scores = work.checked().sweep(named, question, not quiet)
    else:
        with connected(cluster, announce=not quiet) as client:
            scores = passes.sweep(client, work, named, question, progress=not quiet)
    table = scores.means().reset_index()
    if out is None:
        say(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
        return
    write_whole(out, table.to_csv(index=False).encode())
    say(f"{count(len(table), 'setting')} in {out}")


def _partitions(path: Path | None) -> dict[str, list[float]]:
    """Partitions by name from a .json file."""
    if path is None:
        return {}
    path = path.expanduser()
    try:
        found = read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise DepthClipError(f"cannot read {path}: {first_line(error)}") from None
    lists = isinstance(found, dict) and all(isinstance(one, list) for one in found.values())
    if not lists or not found:
        raise DepthClipError(f'{path} must hold {{"NAME": [METRES, ...], ...}}')
    return found
