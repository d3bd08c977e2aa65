"""The command `depthclip explain`: the verdict, the nearest protocols, the gap, clear errors."""

import re

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from depthclip_core.cli.main import app
from depthclip_core.datasets import Frame
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.compositions import Composition
from depthclip_core.rescoring.scores import score_maps

SIZE = (60, 80)


def explain(*arguments):
    """Exit status, what the command prints, and what it says on stderr."""
    result = CliRunner().invoke(app, ["explain", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Pairs of photographs and depth, and saved maps of them in metres."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for kind in ("rgb", "depth", "maps", "mirrored"):
        (folder / kind).mkdir()
    for number in range(3):
        levels = rng.integers(800, 6000, SIZE).astype(np.uint16)
        levels[:10] = 0
        photo = rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(photo).save(folder / "rgb" / f"{number}.png")
        Image.fromarray(levels).save(folder / "depth" / f"{number}.png")
        depth = (levels / 1000 * rng.uniform(0.6, 1.3, SIZE) + 0.4).astype(np.float32)
        np.save(folder / "maps" / f"{number}.npy", depth)
        np.save(folder / "mirrored" / f"{number}.npy", depth[:, ::-1] + 0.1)
    return folder


@pytest.fixture(scope="module")
def given(place):
    """The arguments that name the maps and the data."""
    (place / "pairs.toml").write_text('rgb = "rgb/*.png"\ndepth = "depth/*.png"\ndivisor = 1000\n')
    return [place / "maps", "--dataset", "pairs", "--data", place / "pairs.toml", "--split", "all"]


@pytest.fixture(scope="module")
def printed(place):
    """Numbers of the maps under a protocol, to three digits."""
    one, frames, maps = Composition(align="median", average="pixels"), [], []
    for number in range(3):
        levels = np.asarray(Image.open(place / "depth" / f"{number}.png"))
        rgb = np.zeros((*SIZE, 3), np.uint8)
        frames.append(Frame(str(number), rgb, (levels / 1000).astype(np.float32)))
        maps.append(np.load(place / "maps" / f"{number}.npy"))
    means = score_maps(frames, maps, [one]).mean(one)
    return ",".join(f"{name}={means[name]:.3f}" for name in ("delta1", "rmse", "log10"))


def test_protocol_is_found(given, printed):
    status, out, err = explain(*given, "--reported", printed, "--top", 3)
    assert status == 0 and err == ""
    lines = out.splitlines()
    assert "these numbers" in lines[0] and "whole-median-scaled" in lines[0]
    assert re.match(r"\d+ compositions of switches tried on 3 frames, \d+ of them differ", lines[1])
    first = next(n for n, line in enumerate(lines) if line.startswith("protocol"))
    assert lines[first].endswith("alike") and "alike is the number of" in out
    assert "matches" in lines[first + 1] and len(lines) == first + 4


def test_nothing_matches_is_no_error(given):
    status, out, _ = explain(*given, "--reported", "delta1=0.999,rmse=9.000", "--top", 1)
    assert status == 0 and out.startswith("None of the ")
    assert "matches" not in out


def test_gap_is_split_for_each_metric(given):
    gap = ["--before", "whole", "--after", "whole-least-squares"]
    status, out, _ = explain(*given, *gap, "--reported", "rmse=0.800")
    assert status == 0 and out.count("rmse goes from") == 1
    assert re.search(r"^align +none +least squares +[+-]\d", out, re.MULTILINE)
    alone = explain(*given, *gap)[1]
    assert all(f"{metric} goes from" in alone for metric in ("δ1", "rel", "rmse"))


def test_fixed_switches_and_mirrored_maps(given, place):
    fixed = ["--fix", "align=none", "--fix", "valid=between", "--fix", "clamp=after"]
    flips = explain(*given, "--reported", "rmse=1", *fixed, "--mirrored", place / "mirrored")[1]
    saved = explain(*given, "--reported", "rmse=1", *fixed)[1]
    assert "6 compositions" in flips and "3 compositions" in saved


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ([], "nothing to explain"),
        (["--reported", "delta=1"], "unknown metric 'delta'"),
        (["--reported", "rmse=1", "--fix", "crp=none"], "did you mean 'crop'"),
        (["--before", "whole"], "give both before and after"),
        (["--reported", "rmse=1", "--mirrored", "nowhere"], "no saved predictions at nowhere"),
        (["--reported", "rmse=1", "--divisor", "0"], "divisor is stored units per metre"),
    ],
)
def test_bad_input_is_one_clear_line(given, more, says):
    with pytest.raises(DepthClipError, match=says) as caught:
        explain(*given, *more)
    assert "\n" not in str(caught.value)


def test_maps_of_other_frames_are_named(given, place, tmp_path):
    np.save(tmp_path / "0.npy", np.ones(SIZE, np.float32))
    with pytest.raises(DepthClipError, match="2 missing: 1, 2"):
        explain(tmp_path, *given[1:], "--reported", "rmse=1")
