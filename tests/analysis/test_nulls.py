import numpy as np
import pandas as pd
import pytest
import torch

import depthclip_core as dc
from depthclip_core.analysis import nulls
from depthclip_core.encoding.passes import collect_responses
from depthclip_core.errors import DepthClipError
from depthclip_core.sample.world import DATA
from depthclip_core.settings import PROMPTS, PUBLISHED_METRICS

WORDS = ("near", "far")


@pytest.fixture(scope="module")
def run(nyu_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEPTHCLIP_STORE", str(tmp_path_factory.mktemp("store")))
        yield dc.open_run("nyu", data=str(nyu_folder), head="value", device="cpu")


@pytest.fixture(scope="module")
def splits(run):
    return nulls.open_splits(run, n_pixels=32)


def test_ordinary_words_are_in_the_captions_and_unread_ones_are_not():
    captions = {
        *DATA["objects"],
        *DATA["palette"],
        *(m["word"] for m in DATA["materials"].values()),
    }
    assert set(nulls.READ) <= captions
    read = {part for words in (nulls.READ, DATA["distances"]) for w in words for part in w.split()}
    assert not read & set(nulls.UNREAD) and len(set(nulls.UNREAD)) == len(nulls.UNREAD)
    distance = {*DATA["distances"], *(word for words in PROMPTS.values() for word in words)}
    assert not distance & {*nulls.READ, *nulls.UNREAD}


def test_random_lists_have_different_words():
    lists = nulls.random_lists(7, 9, 40, seed=1)
    assert lists.shape == (40, 7) and lists.max() < 9
    assert all(len(set(row)) == 7 for row in lists.tolist())
    assert (lists == nulls.random_lists(7, 9, 40, seed=1)).all()
    with pytest.raises(DepthClipError, match="7 different words from 3"):
        nulls.random_lists(7, 3, 1)


def test_random_directions_have_no_preferred_one():
    directions = nulls.random_directions(4000, 3)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(4000))
    assert directions.mean(0).abs().max() < 0.05
    second = directions.T @ directions / 4000  # a third of the square along each axis
    torch.testing.assert_close(second, torch.eye(3) / 3, atol=0.02, rtol=0)


def test_spread_directions_are_as_far_apart_as_the_words():
    text = torch.nn.functional.normalize(torch.randn(5, 8, generator=torch.manual_seed(0)), dim=1)
    drawn = nulls.directions_spread_like(text, 2000, seed=3).unflatten(0, (2000, 5))

    def apart(vectors):
        return torch.cdist(vectors, vectors).square().sum((-1, -2)) / 20

    assert apart(drawn).mean() == pytest.approx(float(apart(text)), rel=0.03)
    torch.testing.assert_close(drawn.mean((0, 1)), text.mean(0), atol=0.03, rtol=0)
    with pytest.raises(DepthClipError, match="two or more words"):
        nulls.directions_spread_like(text[:1], 3)


def test_channels():
    assert nulls.released_channels(8, 4).tolist() == [0, 2, 4, 6]
    assert nulls.released_channels(768, 512)[:5].tolist() == [0, 1, 3, 4, 6]
    some = nulls.random_channels(8, 4, 30)
    assert (np.diff(some, axis=1) > 0).all() and len(np.unique(some)) == 8
    orders = nulls.permuted_channels(8, 4, 30)
    assert (np.sort(orders, axis=1) == [0, 2, 4, 6]).all() and len(np.unique(orders, axis=0)) > 5


def test_channel_directions_match_kept_channels():
    text, kept = torch.rand(2, 3), np.array([[0, 4, 2], [1, 3, 5]])
    cells = torch.rand(10, 6)
    found = cells @ nulls.channel_directions(text, kept, 6).T  # (10, L · K)
    expected = torch.cat([cells[:, row] @ text.T for row in torch.from_numpy(kept)], dim=1)
    torch.testing.assert_close(found, expected)


def test_similarities_match_those_of_the_heads(run):
    text, frames = run.text_vectors(run.words), run.frames[:3]
    own = collect_responses(frames, run.encoder, run.words, ["value", "released"], progress=False)
    found = nulls.direction_similarities(frames, run.encoder, text, "value")
    torch.testing.assert_close(found, own["value"], atol=1e-5, rtol=0)
    channels = nulls.n_channels(run.encoder)
    kept = nulls.released_channels(channels, run.encoder.width)[None]
    directions = nulls.channel_directions(text, kept, channels)
    found = nulls.channel_similarities(frames, run.encoder, directions)
    torch.testing.assert_close(found, own["released"], atol=1e-5, rtol=0)
    with pytest.raises(DepthClipError, match="use channel_directions"):
        nulls.channel_similarities(frames, run.encoder, text)


def test_channels_of_a_vit(tiny_models):
    encoder = dc.load_encoder(tiny_models[1], device="cpu")
    frames = dc.open_dataset("sample")[:1]
    text = encoder.text_vectors(WORDS)
    channels = nulls.n_channels(encoder)
    kept = nulls.released_channels(channels, encoder.width)[None]
    directions = nulls.channel_directions(text, kept, channels)
    found = nulls.channel_similarities(frames, encoder, directions)
    own = collect_responses(frames, encoder, WORDS, ["released"], progress=False)["released"]
    torch.testing.assert_close(found, own, atol=1e-5, rtol=0)


def test_untrained_networks_repeat_and_keep_the_text(run):
    one, again, other = (nulls.untrained(run.encoder, seed) for seed in (0, 0, 1))
    assert one.identity == again.identity != other.identity
    torch.testing.assert_close(one.text_vectors(WORDS), run.encoder.text_vectors(WORDS))
    name = "conv1.weight"
    assert not torch.equal(
        one.model.visual.get_parameter(name), run.encoder.model.visual.get_parameter(name)
    )


def test_score_lists_matches_a_loop(run, splits):
    parts = [run.similarities(frames=frames) for frames in (run.train, run.frames)]
    lists = np.array([[0, 1, 2], [6, 3, 0]])
    found = splits.score_lists(*parts, lists)
    for words, scores in zip(lists, found, strict=True):
        learn, test = (splits.weights(part[:, :, list(words)]) for part in parts)
        depth = sum(b * test[:, k] for k, b in enumerate(splits.train.medians(learn)))
        np.testing.assert_allclose(scores, splits.test.scores(depth), atol=1e-4)
    given = splits.score_lists(*parts, lists, bins=(2.0, 2.0, 2.0))
    np.testing.assert_allclose(given[0], splits.test.scores(np.full((8, 13, 17), 2.0)), atol=1e-4)


def test_gain_share_of_known_cases():
    rng, groups = np.random.default_rng(0), np.repeat(range(20), 3)
    blind = rng.random(60)
    own = blind + 0.4 + 0.01 * rng.standard_normal(60)
    half = np.array([blind + (own - blind) / 2] * 10)
    row = nulls.gain_share(half, own, blind, groups, "delta1")
    assert row.tolist() == pytest.approx([0.5, 0.5, 0.5])
    noisy = half + 0.1 * rng.standard_normal((10, 60))
    row = nulls.gain_share(noisy, own, blind, groups, "delta1")
    assert 0.45 < row["low"] < 0.5 < row["high"] < 0.55
    errors = nulls.gain_share(-half, -own, -blind, groups, "rmse")  # the less the better
    assert errors["share"] == pytest.approx(0.5)
    few = nulls.gain_share(
        half, own, blind, groups % (nulls.statistics.FEWEST_GROUPS - 1), "delta1"
    )
    assert few["share"] == pytest.approx(0.5) and np.isnan(few["low"])
    none = nulls.gain_share(half, blind - 0.1, blind, groups, "delta1")
    assert none.isna().all()
    unclear = blind + rng.standard_normal(60)
    row = nulls.gain_share(half, unclear, blind, groups, "delta1")
    assert np.isnan(row["low"])


def test_gain_share_varies_with_the_lists():
    """Where images agree and lists do not, the interval is that of the mean of lists."""
    blind, own = np.zeros(24), np.ones(24)
    null = np.tile(np.random.default_rng(1).normal(0.5, 0.2, 25)[:, None], 24)
    row = nulls.gain_share(null, own, blind, range(24), "delta1")
    half_width = 1.96 * null[:, 0].std() / 5
    assert row["high"] - row["low"] == pytest.approx(2 * half_width, rel=0.1)


def test_shares_in_words():
    row = nulls.gain_share(np.full((3, 9), 0.5), np.ones(9), np.zeros(9), range(9), "delta1")
    assert nulls.in_words(row) == "0.500 (0.500 to 0.500)"
    assert nulls.in_words(row.replace(0.5, np.nan)).startswith("an undefined share")
    assert nulls.in_words(row.where(row.index == "share")) == "0.500 (no interval)"


def test_clouds_say_where_own_stands():
    own, blind = np.full((8, 6), 0.5), np.full((8, 6), 0.1)
    cloud = np.repeat([[[0.2]], [[0.4]], [[0.6]], [[0.3]]], 8, axis=1).repeat(6, axis=2)
    clouds = nulls.Clouds(own, blind, {"null": cloud}, list(range(8)))
    table = clouds.table("delta1").loc["null"]
    assert table["draws"] == 4 and table["median"] == pytest.approx(0.35)
    assert (
        table["as good as own"] == 0.25
        and clouds.table("rmse").loc["null", "as good as own"] == 0.75
    )
    assert clouds.shares("delta1").loc["null", "share"] == pytest.approx((0.375 - 0.1) / 0.4)
    assert clouds.differences("delta1").loc["null", "mean"] == pytest.approx(0.125)
    assert clouds.differences("rmse").loc["null", "verdict"] == "worse"
    with pytest.raises(DepthClipError, match="'mae' is not one of delta1"):
        clouds.table("mae")


@pytest.mark.slow
def test_all_nulls_of_a_run(run, splits):
    blind = nulls.blind_scores(run, splits)
    assert blind.shape == (8, len(PUBLISHED_METRICS))
    kinds = nulls.word_nulls(run, splits, blind, n_lists=2)
    for clouds in kinds.values():
        assert {cloud.shape for cloud in clouds.clouds.values()} == {(2, 8, 6)}
    channels = nulls.channel_nulls(run, splits, blind, n_draws=2, n_untrained=1)
    assert [len(cloud) for cloud in channels.clouds.values()] == [2, 1, 1]
    table = pd.concat([kinds["given bins"].table("rmse"), channels.table("rmse")])
    assert np.isfinite(table.to_numpy()).all()
