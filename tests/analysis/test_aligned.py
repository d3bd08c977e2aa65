import numpy as np
import pytest
from test_ceilings import BINS, WINDOW, in_frame, similarities

from depthclip_core.analysis import aligned, ceilings
from depthclip_core.evaluation.metrics import evaluate
from depthclip_core.evaluation.scoring import predictions


@pytest.fixture(scope="module")
def truths():
    """Frames with depth from 1 to 6 m and holes."""
    windows = np.random.default_rng(5).uniform(1, 6, (3, *WINDOW))
    return [in_frame(np.where(window < 1.5, 0, window)) for window in windows]


def test_aligned_scores_match_protocols(truths):
    rows = aligned.aligned_scores(truths, similarities(3), {"own": BINS})
    maps = np.stack(list(predictions(similarities(3), BINS)))
    flat = np.full_like(maps, 2)
    for alignment, protocol in (("scale", "median-scaled"), ("scale and shift", "marigold")):
        for name, each in (("own", maps), (ceilings.FLAT, flat)):
            expected = evaluate(each, np.stack(truths), protocol)
            for metric in ceilings.SCORED:
                found = rows[metric, name, alignment]
                np.testing.assert_allclose(found, expected[metric], atol=2e-5)
    table = aligned.aligned_table(rows, list("abc"), "rmse")
    assert table.loc[("none", "own"), "mean"] == pytest.approx(
        (rows["rmse", "own", "none"] - rows["rmse", ceilings.FLAT, "none"]).mean()
    )
    assert np.isnan(table.loc[("none", ceilings.FLAT), "mean"])
