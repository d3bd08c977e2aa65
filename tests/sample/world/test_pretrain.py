"""Captions, pairs and a few steps of pretraining; `make pretrain` is the real run."""

import numpy as np
import pytest
import torch

from depthclip_core.sample import model
from depthclip_core.sample.world import captions, pretrain
from depthclip_core.sample.world.ship import PRETRAIN_SEED_LIMIT
from depthclip_core.sample.world.world import SCENE_TYPES
from depthclip_core.settings import PROMPTS

TINY = pretrain.Recipe(views_per_scene=1, steps=6, large_steps=1, batch=16, warmup=2)


@pytest.fixture(scope="module")
def pictures():
    sides = (TINY.side, TINY.large_side)
    return [pretrain.paint((scene, 5, sides)) for scene in SCENE_TYPES[:2]]


def test_captions_cover_all_words_of_the_paper():
    assert {word for words in PROMPTS.values() for word in words} <= captions.DISTANCE_WORDS.keys()


def test_distance_words_vary_and_are_right_on_average():
    rng = np.random.default_rng(0)
    for metres in (0.3, 1.6, 3.1, 9.5):
        centre = np.clip(metres, 0.8, 7.2)
        said = [captions.DISTANCE_WORDS[captions.distance_word(metres, rng)] for _ in range(300)]
        assert len(set(said)) > 1
        assert np.exp(np.mean(np.log(said))) == pytest.approx(centre, rel=0.2)


@pytest.mark.parametrize(
    ("metres", "words"),
    [
        (0.4, "half a metre"),
        (0.9, "one metre"),
        (1.6, "one and a half metres"),
        (2.1, "two metres"),
        (30, "ten metres"),
    ],
)
def test_length_words(metres, words):
    assert captions.length_words(metres) == words


def test_batch_holds_images_and_sentences(pictures):
    rng = np.random.default_rng(0)
    pixels, sentences = pretrain.draw_batch(pictures, TINY, 96, rng)
    assert pixels.shape == (16, 96, 96, 3) and pixels.dtype == np.uint8
    assert len(sentences) == 16 and all(isinstance(s, str) for s in sentences)
    assert not any("{" in s for s in sentences)
    known = {captions.scene_words(scene) for scene in SCENE_TYPES}
    assert any(scene in s for s in sentences for scene in known)


def test_pretraining_seeds_stay_below_the_sample_seeds():
    recipe = pretrain.Recipe()
    assert recipe.seed * 10_000 + recipe.views_per_scene < PRETRAIN_SEED_LIMIT


def test_encode_images_matches_open_clip():
    net = pretrain.create_model(TINY).eval()
    pixels = np.random.default_rng(0).integers(0, 255, (2, 96, 96, 3), dtype=np.uint8)
    with torch.no_grad():
        got = pretrain.encode_images(net, pixels)
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (pretrain.MEAN, pretrain.STD))
        images = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std
        torch.testing.assert_close(got, net.encode_image(images, normalize=True), atol=1e-5, rtol=0)


def test_training_is_deterministic_and_weights_round_trip(pictures, tmp_path):
    (one, read), (two, _) = (pretrain.train(pictures, TINY) for _ in range(2))
    pairs = zip(one.state_dict().items(), two.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for (_, a), b in pairs)
    path = tmp_path / "weights.safetensors"
    model.save_weights(one, read, path)
    state = model.state_dict(path)
    assert state.keys() == one.state_dict().keys()
    assert len(state["visual.attnpool.positional_embedding"]) == 1 + 5 * 5
    embedding, trained = state[model.EMBEDDING], one.state_dict()[model.EMBEDDING]
    torch.testing.assert_close(embedding[read], trained[read], atol=1e-3, rtol=1e-3)
    assert torch.equal(embedding, model.initial_embedding(*embedding.shape)) is False
    unread = torch.ones(len(embedding), dtype=torch.bool)
    unread[read] = False
    assert torch.equal(embedding[unread], model.initial_embedding(*embedding.shape)[unread])
