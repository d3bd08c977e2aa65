import numpy as np
import pytest

import depthclip_core as dc
from depthclip_core.analysis import word_search
from depthclip_core.analysis.sampled_pixels import open_splits
from depthclip_core.errors import DepthClipError
from depthclip_core.settings import PROMPTS


def test_expressions_are_different_and_hold_the_papers():
    words = word_search.distance_expressions()
    assert len(words) == len(set(words)) > 150
    assert {w for ws in PROMPTS.values() for w in ws} < set(words)
    assert {"very close", "about two metres away", "across the room"} < set(words)
    assert not any("{" in word for word in words)


def test_ordinary_expressions_repeat_with_their_seed():
    words = word_search.ordinary_expressions(200, seed=4)
    assert len(set(words)) == 200 and words == word_search.ordinary_expressions(200, seed=4)
    assert words != word_search.ordinary_expressions(200, seed=5)
    assert not set(words) & set(word_search.distance_expressions())
    with pytest.raises(DepthClipError, match="not 5000"):
        word_search.ordinary_expressions(5000)


@pytest.mark.slow
def test_search_on_a_run(nyu_folder, own_store):
    run = dc.open_run("nyu", data=str(nyu_folder), head="value", device="cpu")
    splits, depths = open_splits(run, 32), word_search.train_cells(run)
    found = word_search.search_words(run, splits, depths, word_search.distance_expressions(), 4)
    assert found.train.shape == (3, 16, 6) and found.test.shape == (3, 8, 6)
    similarities = run.similarities(found.words[:3])
    depth = np.einsum("nkhw,k->nhw", splits.weights(similarities), found.path.bins[1])
    np.testing.assert_allclose(found.rows(3), splits.test.scores(depth), atol=1e-4)
    with pytest.raises(DepthClipError, match="2 to 4 words, not 5"):
        found.rows(5)
    table = word_search.curves(found, [found, found], "delta1")
    assert (table["test"] == table["null test"]).all() and list(table.index) == [2, 3, 4]
    bins, rows = word_search.given_list(run, splits, depths)
    assert bins.shape == (7,) and rows.shape == (8, 6)
    groups = run.frames.groups
    same = word_search.Study(found, (found, found), rows, groups).differences(3)
    ordinary = same.loc["searched ordinary words"]
    np.testing.assert_allclose(ordinary[["mean", "low", "high"]].astype(float), 0, atol=1e-9)
    gap = (found.rows(3) - rows).mean()
    np.testing.assert_allclose(same.loc["the run's words", "mean"].astype(float), gap)
    pools = [word_search.ordinary_expressions(40)]
    study = word_search.study(run, splits, depths, word_search.distance_expressions(), pools, 4)
    assert study.found.words == found.words and set(study.nulls[0].words) < set(pools[0])
    gains = word_search.against({"own": study}, "the run's words", 3, "rmse")
    assert gains.loc["own", "mean"] == pytest.approx(gap["rmse"])
