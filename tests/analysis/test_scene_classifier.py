import numpy as np
import pytest
import torch

import depthclip_core as dc
from depthclip_core.analysis.scene_classifier import answers, classify_scenes
from depthclip_core.encoding.vectors import shrink
from depthclip_core.settings import Window


class TwoColours:
    """An encoder that embeds an image by its mean red and blue, and "red room" likewise."""

    image_side, device = 32, torch.device("cpu")
    weights, identity = "random", {}  # nothing is kept

    def check_lengths(self, sentences):
        """All fit."""

    def encode_text(self, sentences):
        return torch.tensor([[1.0, 0.0] if "red" in s else [0.0, 1.0] for s in sentences])

    def normalise(self, images):
        return torch.tensor(images).float()

    def features(self, images):
        return images

    def image_vectors(self, images):
        means = images.mean((1, 2))[:, [0, 2]]
        return means / means.norm(dim=1, keepdim=True)


def test_nearest_sentence_wins():
    red, blue = np.zeros((2, 480, 640, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    frames = [dc.Frame(name=n, rgb=rgb) for n, rgb in (("r", red), ("b", blue), ("r2", red))]
    scores = classify_scenes(frames, TwoColours(), ["red_room", "blue_room"])
    assert scores.shape == (3, 2)
    assert scores.argmax(1).tolist() == [0, 1, 0]


def test_non_finite_vectors_raise(monkeypatch):
    vectors = torch.tensor([[np.nan, 1.0]])
    monkeypatch.setattr(TwoColours, "image_vectors", lambda self, images: vectors)
    frame = dc.Frame(name="a", rgb=np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(dc.DepthClipError, match="not finite"):
        classify_scenes([frame], TwoColours(), ["red", "blue"])


def test_white_border_is_left_out():
    red = np.full((480, 640, 3), 255, np.uint8)
    red[10:470, 10:630] = 100, 0, 60
    whole = dc.Frame(name="a", rgb=red)
    inner = dc.Frame(name="b", rgb=red, content=Window(10, 470, 10, 630))
    red_room, blue_room = classify_scenes([whole, inner], TwoColours(), ["red", "blue"]).T
    assert red_room[1] - blue_room[1] > 1.1 * (red_room[0] - blue_room[0])
    assert red_room[1] == pytest.approx(100 / np.hypot(100, 60), abs=1e-6)


def test_shrink_takes_the_middle_square():
    tall = np.zeros((300, 100, 3), np.uint8)
    tall[100:200] = 255
    assert shrink(tall, 50).shape == (50, 50, 3)
    assert shrink(tall, 50)[1:-1].min() > 250
    assert shrink(tall[:40, :30], 60).shape == (60, 60, 3)


def test_answers_are_among_the_frames_scenes():
    red, blue = np.zeros((2, 480, 640, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    shown = [("r", red, "red_room"), ("b", blue, "blue_room"), ("x", red, "blue_room")]
    frames = [dc.Frame(name=n, rgb=rgb, scene=scene) for n, rgb, scene in shown]
    given, right = answers(frames, TwoColours())
    assert given.tolist() == ["red_room", "blue_room", "red_room"]
    assert right.tolist() == [True, True, False]
    with pytest.raises(dc.DepthClipError, match="frame 1 has no scene type"):
        answers([frames[0], dc.Frame(name="n", rgb=red)], TwoColours())
