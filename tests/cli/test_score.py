"""The command `depthclip score`: its table, its files, and its one line for what is wrong."""

import re
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import depthclip_core as dc
from depthclip_core import saved_scores
from depthclip_core.cli.main import main
from depthclip_core.rescoring.report import score_saved_maps

PAIRS = 'rgb = "*_rgb.png"\ndepth = "*_depth.png"\ndivisor = 1000\n'


@pytest.fixture
def score(monkeypatch, capsys):
    """Call `depthclip score`: its exit status, and what it writes to stdout and stderr."""
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["depthclip", "score", *map(str, arguments)])
        with matplotlib.rc_context(), pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


@pytest.fixture
def data(tmp_path):
    """Eight small frames in data/, and maps of them in maps/, a tenth too deep."""
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    (tmp_path / "maps").mkdir()
    (tmp_path / "data" / "pairs.toml").write_text(PAIRS)
    for i in range(8):
        levels = rng.integers(800, 6000, (30, 40)).astype(np.uint16)
        Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / f"data/f{i}_rgb.png")
        Image.fromarray(levels).save(tmp_path / f"data/f{i}_depth.png")
        np.save(tmp_path / f"maps/f{i}.npy", levels * np.float32(0.0011))
    return tmp_path


def test_table_and_files_hold_the_same_scores(score, data, monkeypatch):
    monkeypatch.setattr(saved_scores, "html_page", lambda found: "page")  # drawing takes seconds
    out = data / "out"
    described = data / "data" / "pairs.toml"
    options = ("--dataset", "pairs", "--data", described, "--out", out)
    status, said, noted = score(data / "maps", *options)
    assert (status, noted) == (0, "")
    table = pd.read_csv(out / "table.csv", index_col="protocol")
    for name, row in table.iterrows():
        line = re.search(rf"(?m)^{name} .*$", said)[0].split()
        assert line[1:5] == [f"{row[m]:.3f}" for m in ("delta1", "delta2", "delta3", "abs_rel")]
        assert line[-3:] == ["100.0", "%", "8"]
    assert table.loc["whole", "abs_rel"] == pytest.approx(0.1, abs=1e-4)
    assert "no 95 % intervals: pooled over pixels, rooms unknown" in said
    assert re.search(r"5 frames of largest error under whole:\n(  f\d  rel 0.100.*\n){5}", said)
    assert said.splitlines()[-1].startswith("written: ") and (out / "index.html").is_file()
    again = score_saved_maps(data / "maps", "pairs", data=described)
    pd.testing.assert_series_equal(again.table()["rmse"], table["rmse"])


def test_stored_divisor_and_chosen_protocols(score, data):
    for file in (data / "maps").iterdir():
        stored = np.round(np.load(file) * 5000).astype(np.uint16)
        file.unlink()
        Image.fromarray(stored).save(file.with_suffix(".png"))
    options = ("--dataset", "pairs", "--data", data / "data/pairs.toml", "--divisor", 5000)
    status, said, _ = score(
        data / "maps", *options, "--protocol", "whole-median-scaled", "--protocol", "whole"
    )
    rows = said.splitlines()[3:5]
    assert status == 0 and [row.split()[0] for row in rows] == ["whole-median-scaled", "whole"]
    assert rows[0].split()[4] == "0.000" and rows[1].split()[4] == "0.100"
    assert not list(data.glob("**/*.csv"))


def test_disparity_scores_as_its_depth(score, data):
    options = ("--dataset", "pairs", "--data", data / "data/pairs.toml", "--protocol", "whole")
    expected = score(data / "maps", *options)[1].splitlines()[3]
    for file in (data / "maps").iterdir():
        np.save(file, 1 / np.load(file))
    assert score(data / "maps", *options, "--disparity")[1].splitlines()[3] == expected


def test_older_spelling_scores_the_same(score, data):
    place, chosen = data / "data/pairs.toml", ("--protocol", "whole")
    expected = score(data / "maps", "--dataset", "pairs", "--data", place, *chosen)
    older = score(data / "maps", "--data", "pairs", "--path", place, *chosen)
    assert older[:2] == expected[:2] and expected[0] == 0 and "--dataset pairs" in older[2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none"], "no saved predictions at none"),
        (["maps", "--dataset", "nyuv2"], "unknown data set 'nyuv2'"),
        (["maps", "--protocol", "bst"], "unknown protocol 'bst': did you mean 'bts'"),
        (["maps", "--divisor", "0"], "divisor is stored units per metre"),
        (["maps", "--split", "train"], "unknown split 'train'"),
        (["maps", "--parquet"], "give a folder with --out"),
        (["maps", "--out", "maps/f0.npy"], "is a file: give a folder"),
        (["maps", "--out", "full"], r"full/table.csv exists: .*--force"),
        (["more"], "9 depth maps for 8 frames; 1 without a frame: f8"),
        (["wrong"], "'f0'.* reaches .* m: .* millimetres"),
        (["damaged"], "cannot read .*f0.npy"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(score, data, monkeypatch, arguments, says):
    monkeypatch.chdir(data)
    (data / "full").mkdir()
    (data / "full/table.csv").write_text("mine")
    for folder in ("more", "wrong", "damaged"):
        (data / folder).mkdir()
        for file in (data / "maps").iterdir():
            np.save(data / folder / file.name, np.load(file) * (1000 if folder == "wrong" else 1))
    np.save(data / "more/f8.npy", np.ones((30, 40)))
    (data / "damaged/f0.npy").write_bytes(b"\x93NUMPY")
    before = sorted(data.rglob("*"))
    given = [] if "--dataset" in arguments else ["--dataset", "pairs"]
    status, said, noted = score(*arguments, *given, "--data", "data/pairs.toml", *(
        [] if "--out" in arguments or "--parquet" in arguments else ["--out", "new/out"]
    ))  # fmt: skip
    assert (status, said) == (1, "") and len(noted.splitlines()) == 1
    assert noted.startswith("depthclip: ") and re.search(says, noted)
    assert sorted(data.rglob("*")) == before


@pytest.mark.slow
def test_maps_of_the_sample_have_intervals(score, tmp_path):
    frames = dc.open_dataset("sample")
    for name, truth in zip(frames.names, frames.ground_truths(), strict=True):
        np.save(tmp_path / f"{name}.npy", truth * np.float32(0.8))
    status, said, _ = score(tmp_path, "--dataset", "sample", "--protocol", "bts")
    assert status == 0 and "drawing the 32 groups again" in said
    _, columns, row = re.search(r"(95 % .*)\n(protocol .*)\n(bts .*)", said).groups()
    assert re.match(r"bts +0\.\d{3}–0\.\d{3}", row) and len(row) == len(columns)
    assert columns.split()[:5] == ["protocol", "δ1", "δ2", "δ3", "rel"]
