import json
import os
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import depthclip_core as dc
from depthclip_core import saved_depths
from depthclip_core.evaluation.saved_predictions import open_predictions
from depthclip_core.method.photo_depths import picture_notes, resolve_setting
from depthclip_core.plots import photo_plots
from depthclip_core.saved_depths import KINDS, plan_files, png_levels, save_depths

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture(scope="module")
def encoder(own_store):
    return dc.load_encoder("sample", device="cpu")


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures as a few bytes: drawing takes most of the time."""
    monkeypatch.setattr(saved_depths, "_draw", lambda file, *_: file.write(b"picture"))


def photo(path, shape=(64, 96)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*shape, 3), 99, np.uint8)).save(path)
    return path


def names(planned):
    return [plan.name for plan in planned]


def left_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# --- what is planned ------------------------------------------------------------------------------


def test_folder_gives_its_pictures_and_recursively_those_below(tmp_path):
    folder = tmp_path / "in"
    for name in ("b.JPG", "a.png", ".hidden.png", "below/a.jpeg", ".git/c.png"):
        photo(folder / name.replace(".JPG", ".jpg"))
    (folder / "b.jpg").rename(folder / "b.JPG")
    (folder / "notes.txt").write_text("no photograph")
    (folder / "folder.png").mkdir()
    assert names(plan_files(folder, tmp_path / "out")) == ["a", "b"]
    planned = plan_files([folder], tmp_path / "out", recursive=True)
    assert names(planned) == ["a", "b", "below/a"]
    assert planned[2].files == {
        "depth_png": tmp_path / "out/depth_png/below/a.png",
        "depth_npy": tmp_path / "out/depth_npy/below/a.npy",
        "pictures": tmp_path / "out/pictures/below/a.png",
        "settings": tmp_path / "out/settings/below/a.json",
    }
    assert not (tmp_path / "out").exists()


def test_file_that_is_named_may_have_any_suffix(tmp_path):
    photo(tmp_path / "a.webp")
    assert names(plan_files(tmp_path / "a.webp", tmp_path / "out")) == ["a"]


def test_photo_that_is_given_twice_is_read_once(tmp_path, monkeypatch):
    photo(tmp_path / "in/a.png")
    monkeypatch.chdir(tmp_path / "in")
    assert names(plan_files(["a.png", ".", tmp_path / "in"], tmp_path / "out")) == ["a"]


def test_results_of_an_earlier_run_are_no_photos(tmp_path):
    for name in ("a.png", "depth_png/a.png", "pictures/a.png", "pictures of mine/b.png"):
        photo(tmp_path / name)
    planned = plan_files(tmp_path, tmp_path, recursive=True, overwrite=True)
    assert names(planned) == ["a", "pictures of mine/b"]


@pytest.mark.parametrize("second", ["b/x.jpg", "a/x.png", "b/X.jpg"])
def test_two_photos_of_one_name_are_refused(tmp_path, second):
    first, second = photo(tmp_path / "a/x.jpg"), photo(tmp_path / second)
    fault = f"{first} and {second} would both be saved as {second.stem}: rename one"
    with pytest.raises(dc.DepthClipError) as raised:
        plan_files([first, second], tmp_path / "out")
    assert fault in str(raised.value)


def test_photo_is_never_overwritten(tmp_path):
    first = photo(tmp_path / "pictures/x.png")
    with pytest.raises(dc.DepthClipError, match="is a photograph to be read: save to another"):
        plan_files(first, tmp_path, overwrite=True)
    second = photo(tmp_path / "settings/x.json/y.png")
    os.symlink(second, tmp_path / "link.png")
    assert names(plan_files(tmp_path / "link.png", tmp_path)) == ["link"]


@pytest.mark.parametrize(
    ("given", "out", "message"),
    [
        ("none.png", "out", "no photo or folder of photos at .*none.png"),
        ("empty", "out", r"no photos in .*empty: put JPEG or PNG files there, or .*--recursive"),
        ("a.png", "a.png", "a.png is a file: give a folder to write to"),
        ("a.png", "done", "1 of 4 files exist already, such as .*depth_npy/a.npy: .*--force"),
        ("broken.png", "out", "no photo or folder of photos at .*broken.png"),
        ("x" * 300, "out", "no photo or folder of photos at"),
    ],
)
def test_bad_places_are_refused(tmp_path, given, out, message):
    photo(tmp_path / "a.png")
    (tmp_path / "empty/below").mkdir(parents=True)
    (tmp_path / "done/depth_npy").mkdir(parents=True)
    (tmp_path / "broken.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "done/depth_npy/a.npy").symlink_to(tmp_path / "nowhere")  # it exists, too
    with pytest.raises(dc.DepthClipError, match=message) as raised:
        plan_files(tmp_path / given, tmp_path / out)
    assert "\n" not in str(raised.value)


# --- what is saved --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metres", "level"),
    [(1.0, 1000), (1.23449, 1234), (65.535, 65535), (65.5354, 65535), (0.0001, 1)],
)
def test_png_holds_whole_millimetres(metres, level):
    levels, n_too_deep = png_levels(np.full((2, 3), metres, np.float32))
    assert levels.dtype == np.uint16 and (levels == level).all() and n_too_deep == 0


def test_too_deep_pixels_get_the_largest_level_and_are_counted():
    levels, n_too_deep = png_levels(np.array([[65.536, 80.0, 2.0]], np.float32))
    assert levels.tolist() == [[65535, 65535, 2000]] and n_too_deep == 2


def test_settings_say_what_made_the_maps(tmp_path, encoder, undrawn):
    photo(tmp_path / "a.png", (128, 192))
    setting = resolve_setting(["near", "far"], [70, 80])
    planned = plan_files(tmp_path / "a.png", tmp_path / "out")
    options = {"long_side": 96, "full_size": True}
    assert list(save_depths(planned, encoder, setting, **options)) == [(planned[0], None)]
    facts = json.loads(planned[0].files["settings"].read_text("utf-8"))
    assert set(facts["photo"].pop("sha256")) <= set("0123456789abcdef")
    assert facts["photo"] == {"name": "a.png", "height": 128, "width": 192}
    assert facts["network_input"] == {"height": 64, "width": 96, "cells": [2, 3]}
    assert (facts["depth"]["height"], facts["depth"]["width"]) == (128, 192)
    assert facts["depth"]["upsampled_to_full_size"] == "bilinear"
    assert 70 <= facts["depth"]["nearest"] <= facts["depth"]["farthest"] <= 80
    assert facts["depth_npy"]["unit"] == "metre"
    png = facts["depth_png"]
    assert (png["unit"], png["divisor"]) == ("millimetre", 1000)
    assert (png["pixels_clipped"], png["clipped_at"]) == (128 * 192, 65.535)
    assert facts["setting"]["words"] == ["near", "far"] and facts["setting"]["bins"] == [70, 80]
    assert facts["setting"]["prompts"] == facts["setting"]["bins_name"] == "given"
    assert (facts["setting"]["temperature"], facts["setting"]["head"]) == (0.1, "value")
    assert facts["encoder"]["name"] == "sample" and facts["encoder"]["weights"] == "own"
    assert facts["encoder"]["weights_sha256"] == encoder.identity["weights"]
    assert facts["versions"]["depthclip-workbook"] and facts["commit"]


def test_example_in_the_docstring_runs(tmp_path, monkeypatch, capsys, undrawn):
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "photo.jpg")
    photo(tmp_path / "folder/b.png")
    indented = [x for x in saved_depths.__doc__.splitlines() if x.startswith("    ") or not x]
    exec(textwrap.dedent("\n".join(indented)), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{name} {Path('out/depth_npy', name)}.npy" for name in ("photo", "b")]


def test_maps_are_read_by_open_predictions(tmp_path, encoder, undrawn):
    photo(tmp_path / "a.png", (480, 640))
    (plan,) = plan_files(tmp_path / "a.png", tmp_path / "out")
    list(save_depths([plan], encoder, resolve_setting()))
    (exact,) = open_predictions(tmp_path / "out/depth_npy", ["a"])
    (rounded,) = open_predictions(tmp_path / "out/depth_png", ["a"])
    assert exact.shape == (480, 640) and np.abs(exact - rounded).max() <= 0.0005 + 1e-6


def test_picture_shows_names_verbatim_and_leaves_the_style_alone(tmp_path, encoder):
    path = photo(tmp_path / "a $x_1$ 写真.png")
    before, planned = dict(plt.rcParams), plan_files(path, tmp_path / "out")
    open_before = plt.get_fignums()
    list(save_depths(planned, encoder, resolve_setting(["ne$r_", "far"], [1, 2])))
    with Image.open(planned[0].files["pictures"]) as picture:
        assert picture.format == "PNG" and picture.width > picture.height > 200
    assert dict(plt.rcParams) == before and plt.get_fignums() == open_before


def test_picture_carries_its_note(tmp_path, encoder, monkeypatch):
    written = []
    monkeypatch.setattr(photo_plots, "write_photo_and_depth", lambda *given: written.append(given))
    planned = plan_files(photo(tmp_path / "a.png"), tmp_path / "out")
    list(save_depths(planned, encoder, resolve_setting()))
    assert written[0][5] == picture_notes(encoder, resolve_setting())


def test_failed_photo_is_yielded_with_its_error(tmp_path, encoder, undrawn):
    photo(tmp_path / "in/b.png")
    (tmp_path / "in/a.jpg").write_bytes(b"no photograph")
    planned = plan_files(tmp_path / "in", tmp_path / "out")
    (_, fault), (plan, none) = save_depths(planned, encoder, resolve_setting())
    assert "cannot read" in str(fault) and plan.name == "b" and none is None
    assert left_in(tmp_path / "out") == sorted(f"{k}/b{suffix}" for k, suffix in KINDS.items())


@pytest.mark.parametrize("kind", list(KINDS))
def test_file_that_cannot_be_written_is_one_line(tmp_path, encoder, undrawn, kind):
    (plan,) = plan_files(photo(tmp_path / "a.png"), tmp_path / "out")
    plan.files[kind].mkdir(parents=True)
    with pytest.raises(dc.DepthClipError, match="cannot write .*: ") as raised:
        list(save_depths([plan], encoder, resolve_setting()))
    assert "\n" not in str(raised.value)
    assert not [name for name in left_in(tmp_path / "out") if name.endswith(".tmp")]


def test_files_of_a_photo_appear_together(tmp_path, encoder, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(saved_depths, "_draw", stop)
    planned = plan_files(photo(tmp_path / "a.png"), tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        list(save_depths(planned, encoder, resolve_setting()))
    assert not (tmp_path / "out").exists()


def test_files_that_appear_after_planning_are_kept(tmp_path, encoder, undrawn):
    photo(tmp_path / "a.png")
    planned = plan_files(tmp_path / "a.png", tmp_path / "out")
    list(save_depths(planned, encoder, resolve_setting()))  # as another run at the same time
    planned[0].files["pictures"].write_bytes(b"theirs")
    planned[0].files["depth_npy"].unlink()
    with pytest.raises(dc.DepthClipError, match="it exists: move it away"):
        list(save_depths(planned, encoder, resolve_setting()))
    assert planned[0].files["pictures"].read_bytes() == b"theirs"
    assert not planned[0].files["depth_npy"].exists()
    planned = plan_files(tmp_path / "a.png", tmp_path / "out", overwrite=True)
    list(save_depths(planned, encoder, resolve_setting()))
    assert planned[0].files["pictures"].read_bytes() == b"picture"


def test_real_frames_have_depth_within_the_bins(rgbd, tmp_path, encoder, undrawn):
    frames = [next((rgbd / name).glob("*_rgb.*")) for name in ("nyu_metric3d", "kitti_metric3d")]
    planned = plan_files(frames, tmp_path / "out")
    faults = [fault for _, fault in save_depths(planned, encoder, resolve_setting())]
    assert faults == [None, None]
    indoor, outdoor = (np.load(plan.files["depth_npy"]) for plan in planned)
    assert indoor.shape == (480, 640) and outdoor.shape == (193, 640)
    assert 1 <= min(indoor.min(), outdoor.min()) and max(indoor.max(), outdoor.max()) <= 3
