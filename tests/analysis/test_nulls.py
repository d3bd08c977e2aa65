import numpy as np
import pandas as pd
import pytest
import torch

import depthclip_core as dc
from depthclip_core.analysis import nulls
from depthclip_core.analysis import random_vectors as rv
from depthclip_core.analysis.sampled_pixels import open_splits
from depthclip_core.encoding.passes import collect_responses, direction_similarities
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
    return open_splits(run, n_pixels=32)


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


def test_released_channels_of_the_backbone_give_the_released_head(tiny_models):
    encoder = dc.load_encoder(tiny_models[1], device="cpu")
    frames = dc.open_dataset("sample")[:1]
    kept = rv.released_channels(encoder.channels, encoder.width)[None]
    directions = rv.channel_directions(encoder.text_vectors(WORDS), kept, encoder.channels)
    found = direction_similarities(frames, encoder, directions, "backbone")
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
