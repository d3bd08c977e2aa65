import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from depthclip_core.datasets import Frame
from depthclip_core.errors import DepthClipError
from depthclip_core.plots import strips, style
from depthclip_core.settings import BINS, RELEASED_WINDOW

matplotlib.use("Agg")
SMALL = (64, 96)


@pytest.fixture(autouse=True)
def in_style():
    with plt.style.context(str(style.STYLE)):
        yield
    plt.close("all")


def titles(figure):
    return [ax.get_title("left") for ax in figure.axes]


def strip(known=True, names=("ours",), shape=SMALL):
    truth = np.tile(np.linspace(1, 4, shape[1], dtype=np.float32), (shape[0], 1))
    holes = truth.copy()
    holes[:5] = 0
    maps = {name: np.full(shape, 2.0 + i) for i, name in enumerate(names)}
    rgb = np.zeros((*shape, 3), np.uint8)
    frame = Frame("0001", rgb, *((holes, truth) if known else (None, None)), "kitchen")
    return strips.strip_of(frame, maps, "best")


def test_strip_is_cut_to_network_window():
    depths = [np.full((480, 640), 3.0)] * 2
    frame = Frame("0001", np.zeros((480, 640, 3), np.uint8), *depths, crop=RELEASED_WINDOW)
    window, whole = np.full((416, 544), 1.0), np.arange(480 * 640.0).reshape(480, 640)
    cut = strips.strip_of(frame, {"ours": window, "theirs": whole})
    shapes = {a.shape[:2] for a in (cut.rgb, cut.truth, cut.filled, *cut.maps.values())}
    assert shapes == {(416, 544)} and cut.name == "0001"
    np.testing.assert_array_equal(cut.maps["theirs"], whole[56:472, 60:604])
    assert strip().name == "best, 0001, kitchen"
    with pytest.raises(DepthClipError, match="ours of frame 0001 has shape"):
        strips.strip_of(frame, {"ours": window.T})


def test_strips_of_frames_take_their_own_maps():
    rgb, depth = np.zeros((*SMALL, 3), np.uint8), np.ones(SMALL, np.float32)
    frames = [Frame(f"{i}", rgb, depth * i, depth * i) for i in range(3)]
    maps = {"one": iter([depth * 20, depth * 0.5]), "other": [depth * 21, depth * 0.6]}
    first, second = strips.strips_of(frames, [2, 0], maps, ["best", "worst"])
    assert (first.name, second.name) == ("best, 2", "worst, 0")
    assert first.truth.max() == 2 and first.maps["one"].max() == 20
    assert second.maps["other"].max() == np.float32(0.6)
    with pytest.raises(ValueError):
        strips.strips_of(frames, [2, 0], {"one": [depth]})


@pytest.mark.parametrize("errors", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_strips_share_one_scale_of_depth_and_one_of_error(known, errors):
    figure = strips.depth_strip([strip(known, ("a", "b"))] * 3, "sample", errors=errors)
    maps = [ax.images[0] for ax in figure.axes if ax.images and ax.images[0].get_array().ndim == 2]
    depths = [image for image in maps if image.get_cmap() == style.DEPTH_COLOURS]
    off = [image for image in maps if image.get_cmap() == style.ERROR_COLOURS]
    assert len(depths) == 3 * (2 + known) and len(off) == 6 * (known and errors)
    assert len({image.get_clim() for image in depths}) == 1
    assert depths[0].get_clim() == ((0, 4) if known else (0, 3))
    if off:
        low, high = off[0].get_clim()
        assert low == -high and {image.get_clim() for image in off} == {(low, high)}
        expected = 2 - strip().truth[10]
        np.testing.assert_allclose(off[0].get_array()[10], expected)
        assert off[0].get_array().mask[:5].all() and not off[0].get_array().mask[5:].any()
    assert figure.get_suptitle() == "sample"
    assert any(title.startswith("truth (grey") for title in titles(figure)) == known
    assert ("error: b" in titles(figure)) == (known and errors)


def test_contours_are_labelled_in_metres():
    figure = strips.contour_strip([strip()], [1.5, 2.5, 3.5], "sample")
    truth, ours, bar = figure.axes
    assert bar.get_ylabel() == "depth of a line (m)"
    assert sorted({text.get_text() for text in truth.texts}) == ["1.5 m", "2.5 m", "3.5 m"]
    assert not ours.texts  # one depth everywhere has no lines
    assert truth.get_title("left") == "best, 0001, kitchen: ground truth"
    assert ours.get_title("left") == "ours"
    unknown = strips.contour_strip([strip(known=False)], [1.5], "sample")
    assert not unknown.axes[0].texts


def test_contour_levels_avoid_bins():
    levels = strips.contour_levels(8.0)
    assert levels == [0.6, 1.1, 1.6, 2.1, 2.6, 3.1, 4.1, 5.1, 6.1, 7.1]
    assert strips.contour_levels(2.5) == [0.6, 1.1, 1.6, 2.1]
    bins = {metres for partition in BINS.values() for metres in partition}
    bins |= {(one + other) / 2 for one in bins for other in bins}  # two views that differ
    assert min(abs(level - metres) for level in levels for metres in bins) > 0.02


def test_bad_strips_raise():
    with pytest.raises(DepthClipError, match="one frame or more"):
        strips.depth_strip([], "sample")
    with pytest.raises(DepthClipError, match="same names"):
        strips.contour_strip([strip(), strip(names=("theirs",))], [1], "sample")
    with pytest.raises(DepthClipError, match="must have predictions"):
        strips.depth_strip([strip(names=())], "sample")
