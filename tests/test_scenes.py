import numpy as np
import pytest
import torch

import depthclip_core as dc
from depthclip_core.scenes import classify_scenes, shrink


class TwoColours:
    """An encoder that embeds an image by its mean red and blue, and "red room" likewise."""

    image_side = 32

    def encode_text(self, sentences):
        return torch.tensor([[1.0, 0.0] if "red" in s else [0.0, 1.0] for s in sentences])

    def normalise(self, images):
        return torch.tensor(images).float()

    def features(self, images):
        return images

    def image_vectors(self, images):
        means = images.mean((1, 2))[:, [0, 2]]
        return means / means.norm(dim=1, keepdim=True)


def test_the_nearest_sentence_wins():
    red, blue = np.zeros((2, 480, 640, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    frames = [dc.Frame(name=n, rgb=rgb) for n, rgb in (("r", red), ("b", blue), ("r2", red))]
    scores = classify_scenes(frames, TwoColours(), ["red_room", "blue_room"])
    assert scores.shape == (3, 2)
    assert scores.argmax(1).tolist() == [0, 1, 0]


def test_photographs_shrink_whole():
    rgb = np.zeros((480, 640, 3), np.uint8)
    rgb[:7], rgb[474:], rgb[:, :7], rgb[:, 632:] = 255, 255, 255, 255
    assert shrink(rgb, 96).shape == (96, 128, 3)
    assert shrink(rgb, 96).max() == 0  # the white border is left out
    tall = np.zeros((300, 100, 3), np.uint8)
    tall[:100] = 255
    assert shrink(tall, 50).shape == (150, 50, 3)
    assert shrink(tall, 50).mean() == pytest.approx(85, abs=2)
    assert shrink(tall[:40, :30], 60).shape == (80, 60, 3)
