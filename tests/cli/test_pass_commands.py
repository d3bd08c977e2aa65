"""The commands `depthclip encode` and `depthclip sweep`."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from depthclip_core.cli.main import app
from depthclip_core.encoding.store import Store
from depthclip_core.errors import DepthClipError


def call(*arguments) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=True)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture
def given(photos, tmp_path):
    """Arguments for a small pass."""
    return ["photos", "--data", photos, "--store", tmp_path / "store", "--device", "cpu", "--quiet"]


def test_encode_fills_the_store(given, tmp_path):
    said = call("encode", *given)
    arrays = Store(tmp_path / "store").arrays()
    assert sorted(array.settings["head"] for array in arrays) == ["released", "value"]
    assert all(array.complete and array.n_frames == 20 for array in arrays)
    for array in arrays:
        assert f"{array.settings['head']}: 20 frames, " in said and str(array.folder) in said


def test_encode_with_words_keeps_similarities_alone(given, tmp_path):
    call("encode", *given, "--words", "near, far", "--heads", "value")
    kinds = {a.settings["kind"]: a.settings for a in Store(tmp_path / "store").arrays()}
    assert kinds["similarities"]["words"] == ["near", "far"] and "vectors" not in kinds


def test_a_photograph_too_narrow_for_a_cell_is_named_by_its_own_size(tmp_path):
    folder = tmp_path / "narrow"
    folder.mkdir()
    Image.new("RGB", (3000, 40)).save(folder / "a.png")
    with pytest.raises(DepthClipError, match="a photograph of 40 x 3000 pixels, shrunk to 9 x 640"):
        call("encode", "photos", "--data", folder, "--store", tmp_path / "store", "--quiet")


SAMPLE = ["sweep", "--device", "cpu", "--quiet"]


@pytest.mark.slow
def test_sweep_scores_every_setting(tmp_path):
    partitions = tmp_path / "mine.json"
    partitions.write_text(json.dumps({"mine": [1, 1.5, 2, 2.5, 3, 3.5, 4]}))
    out = tmp_path / "scores.csv"
    asked = ["--bins", "original", "--bins", "1,2,3,4,5,6,7", "--partitions", partitions]
    asked += ["--temperature", 0.1, "--temperature", 1, "--head", "value", "--out", out]
    assert call(*SAMPLE, *asked) == f"6 settings in {out}\n"
    table = pd.read_csv(out)
    assert list(table["bins"].unique()) == ["original", "1,2,3,4,5,6,7", "mine"]
    assert list(table["temperature"].unique()) == [0.1, 1.0]
    assert (table["n_frames"] == 64).all()
    first = table.iloc[0]
    assert first["delta1"] == pytest.approx(0.476, abs=5e-4)  # as 02_results prints it
    assert first["rmse"] == pytest.approx(1.117, abs=5e-4)
    with pytest.raises(DepthClipError, match=r"scores.csv exists: .* or pass --force"):
        call(*SAMPLE, *asked)
    assert "original" in call(*SAMPLE, "--head", "value")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["encode", "nyx"], "unknown data set 'nyx'"),
        (["encode", "--heads", "value,released,"], "unknown head ''"),
        (["encode", "--encoder", "RN50"], "give weights, such as openai"),
        (["encode", "--words", "near,,far"], "non-empty words"),
        (["encode", "--cluster", "here"], "names no cluster"),
        (["encode", "--cluster", "local:0"], "from 1 to 256"),
        (["sweep", "--bins", "1,2"], "2 depths but there are 7 words"),
        (["sweep", "--bins", "orignal"], "did you mean 'original'"),
        (["sweep", "--out", "scores.txt"], "scores go into a .csv file, not 'scores.txt'"),
        (["sweep", "--partitions", "none.json"], "cannot read none.json"),
        (["sweep", "--protocol", "kiti"], "unknown protocol 'kiti'"),
        (["sweep", "photos"], "photo"),
        (
            ["run", "notebooks/00_pipeline.ipynb", "--workers", "2", "--cluster", "local:2"],
            "exclude",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(asked, said, tmp_path):
    with pytest.raises(DepthClipError) as caught:
        call(*asked, *(["--out", tmp_path / "o"] if asked[0] == "run" else []))
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["[1, 2]", "{}", '{"a": 1}', "{", "[" * 10_000])
def test_a_file_that_holds_no_partitions_is_one_line(content, tmp_path):
    path = tmp_path / "partitions.json"
    path.write_text(content)
    with pytest.raises(DepthClipError, match="partitions.json") as caught:
        call("sweep", "--partitions", path)
    assert "\n" not in str(caught.value)
