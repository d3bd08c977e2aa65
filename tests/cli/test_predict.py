import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import depthclip_core as dc
from depthclip_core import saved_depths
from depthclip_core.cli.main import main
from depthclip_core.datasets.depth_files import in_metres, read_depth_file

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture
def photos(tmp_path):
    """A folder with two photographs of one size and one of another."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for name, shape in {"a.png": (64, 96), "b.png": (64, 96), "c.png": (96, 64)}.items():
        coarse = rng.integers(0, 256, (shape[0] // 16, shape[1] // 16, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(shape[::-1]).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


@pytest.fixture
def draw():
    return saved_depths._draw


@pytest.fixture
def predict(monkeypatch, capsys, draw):
    """Call `depthclip predict`: its exit status, and what it writes to stdout and stderr.

    Pictures are a few bytes, because drawing takes most of the time.
    """
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(saved_depths, "_draw", lambda file, *_: file.write(b"picture"))

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["depthclip", "predict", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


def test_predict_saves_what_predict_depth_returns(predict, draw, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_depths, "_draw", draw)
    out = tmp_path / "out"
    status, said, noted = predict(photos, "-o", out, "--head", "released", "--batch", 2)
    assert status == 0 and said == f"depth of 3 photographs in {out}\n"
    (note,) = noted.splitlines()
    assert note.startswith("note: the sample's CLIP knows only the sample's rendered rooms")
    encoder = dc.load_encoder("sample", device="cpu")
    for photo in photos.iterdir():
        rgb = np.array(Image.open(photo))
        (expected,) = dc.predict_depth(rgb[None], encoder)
        depth = np.load(out / "depth_npy" / f"{photo.stem}.npy")
        assert depth.dtype == np.float32
        np.testing.assert_allclose(depth, expected, atol=1e-5)
        levels = read_depth_file(out / "depth_png" / f"{photo.stem}.png")
        assert np.abs(in_metres(levels, 1000) - depth).max() <= 0.0005 + 1e-6
        assert min(Image.open(out / "pictures" / f"{photo.stem}.png").size) > 300
        facts = json.loads((out / "settings" / f"{photo.stem}.json").read_text("utf-8"))
        assert facts["setting"]["head"] == "released" and facts["note"] in note


def test_options_reach_the_method(predict, photos, tmp_path):
    given = ["--prompts", "near, far", "--bins", "1,4", "--temperature", 0.5, "--device", "cpu"]
    status, said, noted = predict(photos / "a.png", "-o", tmp_path / "out", *given, "--quiet")
    assert (status, said, noted) == (0, "", "")
    facts = json.loads((tmp_path / "out" / "settings" / "a.json").read_text("utf-8"))
    setting = facts["setting"]
    assert (setting["words"], setting["bins"]) == (["near", "far"], [1, 4])
    assert setting["temperature"] == 0.5 and setting["head"] == "value"
    encoder = dc.load_encoder("sample", device="cpu")
    rgb = np.array(Image.open(photos / "a.png"))
    options = {"bins": [1, 4], "head": "value", "temperature": 0.5}
    (expected,) = dc.predict_depth(rgb[None], encoder, ["near", "far"], **options)
    np.testing.assert_allclose(np.load(tmp_path / "out/depth_npy/a.npy"), expected, atol=1e-5)


def test_full_size_depth_has_the_photos_own_size(predict, photos, tmp_path):
    shrunk = ["--long-side", 48]
    assert predict(photos / "a.png", "-o", tmp_path / "small", *shrunk)[0] == 0
    assert predict(photos / "a.png", "-o", tmp_path / "full", *shrunk, "--full-size")[0] == 0
    assert np.load(tmp_path / "small/depth_npy/a.npy").shape == (32, 48)
    assert np.load(tmp_path / "full/depth_npy/a.npy").shape == (64, 96)
    assert Image.open(tmp_path / "full/depth_png/a.png").size == (96, 64)


def test_damaged_photo_is_reported_and_the_others_are_done(predict, photos, tmp_path):
    (photos / "b.png").write_bytes((photos / "b.png").read_bytes()[:60])
    status, said, noted = predict(photos, "-o", tmp_path / "out", "--quiet")
    assert status == 1 and said == ""
    fault, total = noted.splitlines()
    assert fault.startswith(f"depthclip: cannot read {photos / 'b.png'} as an image: ")
    assert total == "1 of 3 photographs failed"
    assert sorted(p.name for p in (tmp_path / "out/depth_npy").iterdir()) == ["a.npy", "c.npy"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.jpg"], "no photo or folder of photos at none.jpg"),
        (["--head", "vale"], "unknown head 'vale': did you mean 'value'?"),
        (["--prompts", "orignal"], "unknown prompts 'orignal': did you mean 'original'?"),
        (["--bins", "1,2"], "the bins have 2 depths but there are 7 words"),
        (["--bins", "1,two"], "bins must be a name or numbers in metres, got '1,two'"),
        (["--temperature", "0"], "--temperature must be positive and finite, got 0.0"),
        (["--encoder", "RN51"], "RN51"),
        (["--weights", "none.pt"], "no weights file at none.pt"),
        (["--device", "abacus"], "device abacus cannot be used"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(predict, photos, tmp_path, arguments, message):
    status, said, noted = predict(photos, *arguments, "-o", tmp_path / "out")
    assert status == 1 and said == ""
    (line,) = noted.splitlines()
    assert line.startswith("depthclip: ") and message in line
    assert not (tmp_path / "out").exists()


def test_existing_files_are_kept_without_force(predict, photos, tmp_path):
    out = tmp_path / "out"
    assert predict(photos / "a.png", "-o", out)[0] == 0
    before = (out / "settings/a.json").stat()
    status, _, noted = predict(photos, "-o", out)
    assert status == 1 and "4 of 12 files exist already" in noted and "--force" in noted
    assert (out / "settings/a.json").stat() == before and len(list(out.rglob("*.npy"))) == 1
    assert predict(photos, "-o", out, "--force")[0] == 0
    assert len(list(out.rglob("*.npy"))) == 3


def test_interrupted_run_leaves_nothing_half_written(predict, photos, tmp_path, monkeypatch):
    def stop(file, array):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", stop)
    status, _, noted = predict(photos, "-o", tmp_path / "out")
    assert status == 130 and "interrupted after 0 of 3 photographs" in noted
    assert not (tmp_path / "out").exists()


def test_other_warnings_become_notes(predict, photos, tmp_path, tiny_models):
    given = ["--encoder", tiny_models[0], "--device", "cpu"]
    status, _, noted = predict(photos / "a.png", "-o", tmp_path / "out", *given)
    assert status == 0
    assert noted == f"note: {tiny_models[0]} has random weights: its depths mean nothing\n"


def test_bins_beyond_the_png_are_noted(predict, photos, tmp_path):
    given = ["--prompts", "near,far", "--bins", "1,80", "--device", "cpu"]
    status, _, noted = predict(photos / "a.png", "-o", tmp_path / "out", *given)
    assert status == 0 and "note: depth_png holds at most 65.535 m" in noted.splitlines()[1]


@pytest.mark.parametrize(
    ("terminal", "arguments", "shown"),
    [(True, [], True), (True, ["--quiet"], False), (False, [], False)],
)
def test_bar_is_for_terminals(predict, photos, tmp_path, monkeypatch, terminal, arguments, shown):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    status, _, noted = predict(photos, "-o", tmp_path / "out", *arguments)
    assert status == 0 and ("3/3" in noted) == shown


def test_help_and_bad_paths_need_no_torch(tmp_path):
    code = (
        "import sys; from depthclip_core.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: print(*{'torch', 'matplotlib', 'open_clip'} & set(sys.modules))"
    )
    for arguments in (["--help"], ["none.jpg"], [".", "--head", "none"]):
        ran = subprocess.run(
            [sys.executable, "-c", code, "predict", *arguments],
            cwd=ROOT / "figures",
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.stdout.splitlines()[-1] == "", ran.stdout
    # A bar only where stderr is a terminal, which it is not here.
    assert not re.search("Traceback|photo/s", ran.stderr)
