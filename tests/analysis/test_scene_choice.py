import numpy as np

from depthclip_core.analysis.scene_choice import Scenes


def test_shares_of_scene_types():
    similarities = np.array([[0.3, 0.2], [0.2, 0.3], [0.3, 0.2]])
    scenes = Scenes(("a", "b"), similarities, np.array([0, 0, -1]), 0.1)
    assert scenes.right.tolist() == [True, False, False]
    assert scenes.shares("predicted").tolist() == [[1, 0], [0, 1], [1, 0]]
    assert scenes.shares("true").tolist() == [[1, 0], [1, 0], [0, 0]]
    first = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(scenes.shares("soft")[0], [first, 1 - first])
    table = scenes.confusion
    assert table.loc["a"].tolist() == [1, 1] and table.loc["other"].tolist() == [1, 0]
    assert scenes.losses["fitted"].isna().tolist() == [False, False, True]
