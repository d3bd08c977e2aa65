"""A map is shown as it is scored: the numbers of what is shown are the protocol's."""

import numpy as np
import pytest
from rescored import frames_and_maps

from depthclip_core.datasets import FrameList
from depthclip_core.evaluation.compositions import Composition
from depthclip_core.evaluation.saved_predictions import save_predictions
from depthclip_core.rescoring.report import score_saved_maps
from depthclip_core.rescoring.scores import score_maps
from depthclip_core.rescoring.shown import as_scored


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    frames, maps, mirrored = frames_and_maps(2, (20, 30), seed=3)
    folders = [tmp_path_factory.mktemp(kind) for kind in ("maps", "mirrored")]
    for folder, several in zip(folders, (maps, mirrored), strict=True):
        save_predictions(folder, ["f0", "f1"], several)
    return score_saved_maps(folders[0], FrameList(frames), mirrored=folders[1])


@pytest.mark.parametrize("align", ["none", "median", "least squares", "disparity"])
@pytest.mark.parametrize("clamp", ["after", "before", "none"])
@pytest.mark.parametrize("flip", ["as saved", "averaged"])
def test_what_is_shown_has_the_score(found, align, clamp, flip):
    one = Composition(align=align, clamp=clamp, flip=flip, min_depth=0.5, max_depth=6.0)
    expected = score_maps(found.frames, found.maps, [one], mirrored=found.mirrored).rows(one)
    for position in (0, 1):
        shown = as_scored(found, position, one)
        counts = (shown.truth > 0.5) & (shown.truth < 6) & (shown.depth != 0)
        error = (shown.depth - shown.truth)[counts]
        rmse = np.sqrt(np.mean(error.astype(float) ** 2))
        assert rmse == pytest.approx(expected["rmse"].iloc[position], rel=1e-4)
        assert shown.rgb.shape[:2] == shown.truth.shape == shown.depth.shape


def test_a_map_of_a_part_is_shown_with_that_part(tmp_path):
    frames, maps, _ = frames_and_maps(1, (480, 640), size=(416, 544))
    save_predictions(tmp_path, ["f0"], maps)
    found = score_saved_maps(tmp_path, FrameList(frames), protocols=["bts"])
    shown = as_scored(found, 0, found.protocols["bts"])
    assert shown.rgb.shape[:2] == shown.truth.shape == shown.depth.shape == (416, 544)
