import numpy as np
import pytest
import torch
from PIL import Image

import depthclip_core as dc
from depthclip_core.analysis import altered_inputs as inputs
from depthclip_core.clip.encoders import Encoder
from depthclip_core.datasets.base import Dataset
from depthclip_core.datasets.nyu import CONTENT, preprocess_rgb
from depthclip_core.errors import DepthClipError

# --- photographs --------------------------------------------------------------------------------


def test_altered_changes_photographs_alone():
    frames = dc.open_dataset("sample")
    darker = inputs.Altered(frames, "half as bright", lambda rgb: rgb // 2)
    assert len(darker) == len(frames)
    assert (darker.rgb(3) == frames.rgb(3) // 2).all()
    assert (darker[3].rgb == darker.rgb(3)).all()
    assert (darker.raw_depth(3) == frames.raw_depth(3)).all()
    assert (darker.names, darker.groups) == (frames.names, frames.groups)
    assert darker[3].window == frames[3].window
    for fact in Dataset.__annotations__:
        assert fact == "title" or getattr(darker, fact) == getattr(frames, fact)


def test_store_knows_altered_frames_by_their_change():
    frames = dc.open_dataset("sample")

    def known(dataset):
        return dataset.identity(lambda paths: [str(path) for path in paths])

    names = [inputs.Altered(frames, name, lambda rgb: rgb) for name in ("a", "b")]
    assert known(names[0]) != known(names[1]) != known(frames)


def test_jpeg_loses_more_at_lower_quality():
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    rgb = np.array(small.resize((160, 120), Image.Resampling.BICUBIC))
    lost = [np.abs(inputs.through_jpeg(rgb, q).astype(int) - rgb).mean() for q in (95, 75, 20)]
    assert 0 < lost[0] < lost[1] < lost[2] < 20
    assert inputs.through_jpeg(rgb, 95).shape == rgb.shape


def test_jpeg_is_the_released_preprocessing_inside_the_border():
    rgb = dc.open_dataset("sample").rgb(0).copy()
    outside = np.ones(rgb.shape[:2], bool)
    outside[CONTENT.slices] = False
    rgb[outside] = 0
    assert (inputs.through_jpeg(rgb, 95) == preprocess_rgb(rgb)).all()


@pytest.mark.parametrize(
    ("scale", "size"), [(1, (416, 544)), (0.75, (320, 416)), (1.5, (640, 832)), (0.01, (32, 32))]
)
def test_scaled_size_is_whole_cells(scale, size):
    assert inputs.scaled_size((416, 544), scale, 32) == size


# --- encoders -----------------------------------------------------------------------------------


def test_renormalised_pixels_are_those_of_the_formula():
    encoder = dc.load_encoder("sample")
    other = inputs.renormalised(encoder)
    rgb = np.random.default_rng(0).integers(0, 255, (1, 32, 32, 3), dtype=np.uint8)
    found = other.normalise(rgb)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(
        found, (rgb[0] / 255 - inputs.CLIP_MEAN) / inputs.CLIP_STD, atol=1e-6
    )
    assert isinstance(other, Encoder) and other.model is encoder.model
    assert other.identity == encoder.identity  # text vectors are the same
    assert other.arithmetic["mean"] == inputs.CLIP_MEAN != encoder.arithmetic["mean"]
    assert encoder.normalise(rgb).shape == (1, 3, 32, 32)


def test_renormalised_with_the_released_constants_changes_nothing():
    encoder = dc.load_encoder("sample")
    own = inputs.renormalised(encoder, *(encoder.arithmetic[name] for name in ("mean", "std")))
    rgb = np.random.default_rng(0).integers(0, 255, (1, 64, 64, 3), dtype=np.uint8)
    assert torch.equal(own.normalise(rgb), encoder.normalise(rgb))
    assert own.arithmetic == encoder.arithmetic


@pytest.mark.parametrize("std", [(0.2, 0.2), (0.2, 0.2, 0.0)])
def test_renormalised_refuses_wrong_constants(std):
    with pytest.raises(DepthClipError, match="positive standard deviation"):
        inputs.renormalised(dc.load_encoder("sample"), (0.5, 0.5, 0.5), std)
