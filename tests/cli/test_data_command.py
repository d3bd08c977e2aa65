"""The command `depthclip data inspect`: what a folder is, and what is wrong with it."""

import re
import shutil

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image
from typer.testing import CliRunner

import depthclip_core as dc
from depthclip_core.cli.main import app
from depthclip_core.datasets import REGISTRY, dataset_class
from depthclip_core.datasets.nyu import MAT_NAME, SPLITS_NAME


def inspect(*arguments):
    """Exit status, what the command prints, and its errors; lines are not wrapped."""
    result = CliRunner().invoke(app, ["data", "inspect", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, *(re.sub(r"\n {14}", " ", t) for t in (result.stdout, result.stderr))


def facts(text):
    """The labelled lines before the description."""
    lines = text.split("\n\n")[0].splitlines()
    return {line[:14].strip(): line[14:] for line in lines}


@pytest.fixture
def in_style(monkeypatch):
    monkeypatch.setattr(Text, "set_text", Text.set_text)  # what `use_style` sets is taken back
    with matplotlib.rc_context(), pd.option_context("display.html.use_mathjax", True):
        yield


@pytest.fixture
def folder(tmp_path):
    """Frames of the sample as millimetres in color/ and depth/."""
    frames = dc.open_dataset("sample")
    for kind in ("color", "depth"):
        (tmp_path / kind).mkdir()
    for number in (0, 20, 40):
        Image.fromarray(frames.rgb(number)).save(tmp_path / "color" / f"{number}.png")
        levels = (1000 * frames.raw_depth(number)).round().astype(np.uint16)
        Image.fromarray(levels).save(tmp_path / "depth" / f"{number}.png")
    return tmp_path


def test_sample_is_described():
    status, out, _ = inspect("--dataset", "sample", "--frames", 4)
    found = facts(out)
    assert status == 0 and found["data set"] == "sample" and found["frames"] == "160"
    assert found["splits"] == "test 64, train 96, all 160" and found["size"] == "480 x 640"
    assert "bathroom 20" in found["scene types"] and found["groups"].startswith("64, up to 4")
    assert found["depth"].endswith("of 4 frames") and found["scale"] == "as in a room"
    assert found["scored"] == "rows 45:471, columns 41:601, up to 10 m"
    assert found["checks"] == "nothing found" and found["open it"] == "-p dataset sample"


def test_older_spelling_is_understood():
    status, out, noted = inspect("--data", "sample", "--frames", 4)
    assert status == 0 and facts(out)["data set"] == "sample" and "--dataset sample" in noted


def test_guessed_pairs_come_with_their_description(folder):
    status, out, _ = inspect(folder)
    found = facts(out)
    assert status == 0 and found["data set"] == "pairs (guessed from names of files)"
    assert found["frames"] == "3" and found["scale"].startswith("divisor 1000, as in a room")
    assert "256 would give a street's" in found["scale"]
    described = re.search(r"(?m)^rgb = .*\n(?:\w+ = .*\n)+", out)[0]
    assert described == 'rgb = "color/*.*"\ndepth = "depth/*.*"\ndivisor = 1000\n'
    (folder / "pairs.toml").write_text(described)
    frames = dc.open_dataset("pairs", data=folder / "pairs.toml")
    assert frames.names == ["0", "20", "40"]
    for path in (folder / "pairs.toml", folder):
        status, out, _ = inspect(path)
        assert status == 0 and facts(out)["data set"] == "pairs" and "Compare" not in out
        assert facts(out)["open it"] == f"-p dataset pairs -p data {folder / 'pairs.toml'}"
    assert dc.open_dataset("pairs", data=folder).names == ["0", "20", "40"]
    # Options that are given say all: the description is not mixed with them.
    with pytest.raises(dc.DepthClipError, match="give rgb and depth"):
        dc.open_dataset("pairs", data=folder, divisor=5000)


def test_wrong_description_is_warned_of(folder):
    (folder / "a.toml").write_text('rgb = "color/*.*"\ndepth = "depth/*.*"\ndivisor = 5000\n')
    status, out, _ = inspect(folder / "a.toml")
    assert status == 0 and facts(out)["warning"].startswith("scale: the median depth is 0.")
    assert "divisor 1000 gives" in facts(out)["warning"]


def test_contact_sheet_is_a_picture(folder, in_style):
    out = folder / "sheet.png"
    status, text, _ = inspect(folder, "--out", out)
    assert status == 0 and text.splitlines()[-1] == f"written       {out}"
    with Image.open(out) as picture:
        assert picture.format == "PNG" and picture.width > 500
    shutil.rmtree(folder / "depth")
    drawn = out.read_bytes()
    with pytest.raises(dc.DepthClipError, match="exists: choose another file, or pass --force"):
        inspect(folder / "color", "--out", out)  # photographs
    assert out.read_bytes() == drawn
    assert inspect(folder / "color", "--out", out, "--force")[0] == 0
    assert sorted(path.name for path in folder.iterdir()) == ["color", "sheet.png"]


def test_nyu_is_recognised_by_its_file(nyu_folder, tmp_path):
    for path in (nyu_folder, nyu_folder / MAT_NAME):
        status, out, _ = inspect(path, "--frames", 2)
        assert status == 0 and facts(out)["data set"] == "nyu"
        assert facts(out)["splits"].startswith("test 8, train 16, all 24")
    shutil.copy(nyu_folder / MAT_NAME, tmp_path / MAT_NAME)
    status, out, _ = inspect(tmp_path, "--frames", 2)
    assert status == 0 and f"test - (no {SPLITS_NAME} in" in out


def test_photographs_are_recognised(folder):
    status, out, _ = inspect(folder / "color")
    assert status == 0 and facts(out)["data set"] == "photos" and facts(out)["depth"] == "none"
    assert facts(out)["frames"] == "3"
    assert facts(out)["open it"] == f"dc.open_dataset('photos', data='{folder / 'color'}')"


def test_wrong_folder_is_told_what_each_kind_misses(tmp_path):
    (tmp_path / "a.txt").write_text("no data")
    status, out, errors = inspect(tmp_path)
    assert (status, out) == (1, "")
    first, *others = errors.splitlines()
    assert first == f"depthclip: {tmp_path} is not a data set of a known kind:"
    known = {line.split()[0]: line for line in others}
    assert known.keys() == REGISTRY.keys() - {"sample"}
    assert "no nyu_depth_v2_labeled.mat" in known["nyu"]
    assert "describe their names in a .toml" in known["pairs"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give a path, or --dataset"),
        (["nowhere"], "nothing exists at nowhere"),
        ([".", "--dataset", "nyuv2"], "unknown data set 'nyuv2'"),
        ([".", "--dataset", "nyu"], "no data set of kind 'nyu': no nyu_depth_v2_labeled.mat"),
        ([".", "--dataset", "sample"], "no data set of kind 'sample': .* no data folder"),
        ([".", "--out", "sheet.pdf"], "the contact sheet is a .png file, not 'sheet.pdf'"),
        (["color", "--out", "bad.toml/sheet.png"], "sheet.png: bad.toml is a file: choose"),
        (["bad.toml"], "cannot read the description bad.toml"),
        (["divisor.toml", "--dataset", "pairs"], "'pairs': divisor is stored units per metre"),
        (["sizes.toml"], "a_rgb.png has 4 x 5 pixels but its depth 2 x 3"),
    ],
)
def test_bad_input_raises_one_clear_line(folder, monkeypatch, in_style, arguments, says):
    monkeypatch.chdir(folder)
    pattern = 'rgb = "*_rgb.png"\ndepth = "*_depth.png"\n'
    (folder / "bad.toml").write_text("=")
    (folder / "divisor.toml").write_text(pattern + "divisor = -1")
    (folder / "sizes.toml").write_text(pattern + "divisor = 1000")
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save("a_rgb.png")
    Image.fromarray(np.zeros((2, 3), np.uint16)).save("a_depth.png")
    before = sorted(folder.iterdir())
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        inspect(*arguments)
    assert "\n" not in str(caught.value) and sorted(folder.iterdir()) == before


def test_a_described_data_set_that_fails_says_why(tmp_path):
    pairs, other = tmp_path / "pairs.toml", tmp_path / "other.toml"
    pairs.write_text('rgb = "*_rgb.png"\ndepth = "*.png"\ndivisor = 1000\n')
    with pytest.raises(dc.DepthClipError, match="matches rgb = '\\*_rgb.png'") as caught:
        inspect(pairs)
    assert "\n" not in str(caught.value) and "of kind 'pairs': no file in" in str(caught.value)
    other.write_text("sensors = 2\n")
    status, _, errors = inspect(other)
    assert status == 1 and "it does not take the options sensors" in errors


def test_every_kind_says_why_a_folder_is_none_of_its_own(tmp_path):
    for name in REGISTRY:
        fault = dataset_class(name).recognise(tmp_path)
        assert fault and "\n" not in fault, name
    (tmp_path / "a.jpg").write_text("no photograph")
    assert "cannot read" in dataset_class("photos").recognise(tmp_path)


def test_nyu_without_one_of_its_files_is_no_pairs(tmp_path):
    """Photograph and depth are named alike there, so that the rest would pass for `pairs`."""
    folder = tmp_path / "official_splits" / "test" / "kitchen"
    folder.mkdir(parents=True)
    for number in (3, 4, 5):
        Image.fromarray(np.zeros((480, 640, 3), np.uint8)).save(folder / f"rgb_{number:05d}.jpg")
        levels = np.full((480, 640), 2000, np.uint16)
        Image.fromarray(levels).save(folder / f"sync_depth_{number:05d}.png")
    (folder / "sync_depth_00004.png").unlink()
    with pytest.raises(dc.DepthClipError, match="of kind 'nyu': 1 of 6 files are missing") as said:
        inspect(tmp_path)
    assert "sync_depth_00004.png" in str(said.value)


def test_depth_without_a_photograph_is_named(tmp_path):
    folder = tmp_path / "official_splits" / "test" / "kitchen"
    folder.mkdir(parents=True)
    for number in (3, 4, 5):
        Image.fromarray(np.zeros((480, 640, 3), np.uint8)).save(folder / f"rgb_{number:05d}.jpg")
        levels = np.full((480, 640), 2000, np.uint16)
        Image.fromarray(levels).save(folder / f"sync_depth_{number:05d}.png")
    assert "no photograph" not in inspect(tmp_path)[1]
    (folder / "rgb_00004.jpg").unlink()
    status, out, _ = inspect(tmp_path)
    assert status == 0 and facts(out)["frames"] == "2"
    assert "1 depth map has no photograph, such as test/kitchen/sync_depth_00004.png" in out
    assert facts(out)["open it"] == f"-p dataset nyu -p data {tmp_path}"
