"""Options that several commands share: the frames, the network, and a cluster."""

from pathlib import Path
from typing import Annotated

import typer

DatasetName = Annotated[
    str, typer.Argument(help="A data set: sample, nyu, kitti, sunrgbd, pairs or photos.")
]
DataPath = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Its folder, its file, or a .toml that describes it.",
        show_default="the data set's usual place",
    ),
]
SplitName = Annotated[str, typer.Option("--split", help="test, train or all.")]
EncoderName = Annotated[str, typer.Option("--encoder", help='"sample", or a model of open_clip.')]
WeightsName = Annotated[
    str | None, typer.Option("--weights", help="A tag such as openai, or a file.")
]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda …")]
PrecisionName = Annotated[
    str, typer.Option("--precision", help="auto, fp32, bf16 or fp16, of the image tower.")
]
StoreFolder = Annotated[
    Path | None,
    typer.Option("--store", help="Where the store is.", show_default="store/ in the data folder"),
]
ClusterName = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="WHERE",
        help="Share the work: local:N for N processes here, tcp://HOST:PORT or tls://HOST:PORT "
        "for a scheduler of dask, or a .yaml file for Slurm.",
    ),
]
Words = Annotated[str, typer.Option("--words", help="Published words, or your own: near,far.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show results and errors only.")]
StoredType = Annotated[
    str,
    typer.Option("--dtype", help="How numbers are stored: float32, or float16 in half the space."),
]
