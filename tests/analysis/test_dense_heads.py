from types import SimpleNamespace

import numpy as np
import pytest
import torch

import depthclip_core as dc
from depthclip_core.analysis import dense_heads
from depthclip_core.clip.heads import HEADS
from depthclip_core.encoding.passes import collect_responses
from depthclip_core.encoding.store import Store
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation import fitting, scoring
from depthclip_core.settings import PUBLISHED_METRICS

GRID = (3, 4)


@pytest.fixture(scope="module")
def run():
    return dc.open_run("sample")


@pytest.fixture(scope="module")
def few(run):
    """Two frames of the test split, in a run of their own."""
    return SimpleNamespace(run=run, frames=run.frames[[0, 9]])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def test_input_size_is_whole_cells():
    encoder = SimpleNamespace(grid=lambda h, w: (h // 32, w // 32), stride=32)
    assert dense_heads.input_size(encoder, (416, 544), 1) is None
    assert dense_heads.input_size(encoder, (416, 544), 1.5) == (20 * 32, 26 * 32)
    assert dense_heads.input_size(encoder, (416, 544), 2) == (26 * 32, 34 * 32)
    assert dense_heads.input_size(encoder, (416, 544), 0.01) == (32, 32)
    for scale in (0, -1, np.inf, np.nan):
        with pytest.raises(DepthClipError, match="positive and finite"):
            dense_heads.input_size(encoder, (416, 544), scale)


@pytest.mark.parametrize("kind", dense_heads.KINDS)
def test_random_texts_pull_the_text_back(kind):
    """f·Pᵀt is Pf·t with the same P, drawn here again."""
    rng = np.random.default_rng(3)
    text, f = rng.normal(size=(2, 5)), rng.normal(size=8)
    found = dense_heads.random_texts(torch.tensor(text), 8, n=2, kind=kind, seed=7)
    assert found.shape == (2, 2, 8) and found.dtype == torch.float32
    for i in range(2):
        again = np.random.default_rng([7, i])
        if kind == "channels":
            projected = f[again.permutation(8)[:5]]
        else:
            projected = again.standard_normal((5, 8)) @ f / np.sqrt(8)
        np.testing.assert_allclose(found[i].numpy() @ f, text @ projected, rtol=1e-5)


def test_random_projections_keep_the_mean_length():
    """Of a unit vector, over many draws: D / C of the square, as a choice of D of C channels."""
    eye = torch.eye(16)
    f = np.full(64, 1 / 8)
    for kind in dense_heads.KINDS:
        lengths = (dense_heads.random_texts(eye, 64, 200, kind).numpy() @ f) ** 2
        assert lengths.sum(1).mean() == pytest.approx(16 / 64, rel=0.05)


def test_random_texts_say_what_is_wrong():
    text = torch.zeros(2, 5)
    with pytest.raises(DepthClipError, match="did you mean 'channels'"):
        dense_heads.random_texts(text, 8, 1, "channel")
    with pytest.raises(DepthClipError, match="too few .* choose kind 'projections'"):
        dense_heads.random_texts(text, 4, 1, "channels")


@pytest.mark.slow
@pytest.mark.parametrize("kind", dense_heads.KINDS)
def test_random_similarities_match_projected_features(few, store, kind):
    run, frames = few.run, few.frames
    found = dense_heads.random_similarities(run, frames, 2, kind, seed=1, store=store)
    assert list(found) == [f"{kind} 0", f"{kind} 1"]
    encoder, window = run.encoder, frames[1].window
    image = encoder.normalise(frames[1].rgb[window.slices][None])
    cells = encoder.features(image).cells[0]
    cells = (cells / cells.norm(dim=0)).flatten(1)  # (C, h w)
    text = run.text_vectors(run.words)
    texts = dense_heads.random_texts(text, len(cells), 2, kind, seed=1)
    for i, name in enumerate(found):
        assert found[name].shape == (2, 2, 7, 13, 17)
        expected = texts[i].to(cells) @ cells
        np.testing.assert_allclose(
            found[name][1, 0].flatten(1), expected.cpu(), atol=1e-5, rtol=1e-4
        )


@pytest.mark.slow
def test_head_similarities_match_collect_responses(few, store, monkeypatch):
    run, frames = few.run, few.frames
    monkeypatch.setenv("DEPTHCLIP_STORE", str(store.folder))
    found = dense_heads.head_similarities(run, frames)
    assert list(found) == list(HEADS)
    names = ["released", "value"]
    expected = collect_responses(frames, run.encoder, run.words, names, store=store, progress=False)
    for name in names:
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=1e-5)
    assert found["value-value"].shape == (2, 2, 7, 13, 17)
    larger = dense_heads.head_similarities(run, frames, 1.5, ["value"])["value"]
    assert larger.shape == (2, 2, 7, 20, 26)


def test_yardstick_rows_match_scoring(run, monkeypatch):
    """Two systems on two grids, of random similarities, against the scores of notebook 02."""
    torch.manual_seed(0)
    test, train = run.frames[[0, 9, 20]], run.train[[0, 5]]
    fields = {name: getattr(run, name) for name in ("protocol", "temperature", "bins", "grid")}
    small = SimpleNamespace(**fields, frames=test, train=train)
    similarities = {"a": torch.rand(3, 2, 7, 13, 17) / 50, "b": torch.rand(3, 2, 7, 6, 8) / 50}
    of_train = {"a": torch.rand(2, 2, 7, 13, 17) / 50, "b": torch.rand(2, 2, 7, 6, 8) / 50}
    rows = dense_heads.yardstick(small).rows(similarities, of_train)
    assert list(rows.columns) == list(dense_heads.MEASURES)
    assert rows.index.names == ["system", "bins", "frame"] and len(rows) == 2 * 2 * 3
    for name, kind in (("a", "given"), ("b", "fitted")):
        bins = run.bins
        if kind == "fitted":
            bins = fitting.fit_bins(train.ground_truths(), of_train[name], protocol=run.protocol)
        expected = scoring.score(test, similarities[name], bins)[list(PUBLISHED_METRICS)]
        got = rows.xs((name, kind), level=("system", "bins"))[list(PUBLISHED_METRICS)]
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*random weights")
def test_heads_and_random_heads_of_a_vit(run, tiny_models):
    """Its backbone has 96 channels, 1.5 for each of the text's 64, and a grid of finer cells."""
    encoder = dc.load_encoder("tiny-ViT", device="cpu")
    fields = {name: getattr(run, name) for name in ("words", "bins", "protocol", "temperature")}
    fields |= {"frames": run.frames[[0, 9]], "train": run.train[[0, 5]], "encoder": encoder}
    measured = dense_heads.yardstick(SimpleNamespace(**fields, grid=encoder.grid(416, 544)))
    rows = dense_heads.of_heads(measured, 0.5)
    assert len(rows) == len(HEADS) * 2 * 2 and np.isfinite(rows).all(axis=None)
    cloud = dense_heads.of_random(measured, 2)
    assert {kind: len(of_kind) for kind, of_kind in cloud.items()} == {
        "projections": 2 * 2 * 2,
        "channels": 2 * 2 * 2,
    }
    assert np.isfinite(cloud["projections"]).all(axis=None)
