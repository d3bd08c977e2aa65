import warnings
from types import MethodType

import naive
import numpy as np
import pytest
import tiny
import torch

import depthclip_core as dc
from depthclip_core.clip import towers
from depthclip_core.method.pipeline import depth_maps, respond
from depthclip_core.settings import BINS, PROMPTS, RELEASED_WINDOW, Window

pytestmark = pytest.mark.usefixtures("own_store")


def photograph(seed=0):
    """A (480, 640, 3) picture with structure at several scales."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((480, 640, 3))
    for size in (8, 40, 160):
        blocks = rng.uniform(0, 255, (480 // size + 1, 640 // size + 1, 3))
        picture += np.kron(blocks, np.ones((size, size, 1)))[:480, :640] / 3
    return picture.astype(np.uint8)


SMALL = Window(8, 136, 4, 164)  # of frames of 144 x 168: 4 x 5 cells


def small_photograph(seed=0):
    return np.ascontiguousarray(photograph(seed)[::3, ::3][:144, :168])


def network_input(frame):
    return naive.network_input(frame, SMALL.top, SMALL.bottom, SMALL.left, SMALL.right)


@pytest.fixture(scope="module")
def resnet(tiny_models, tmp_path_factory):
    """A small model of RN50's kind, and its encoder. Its norms know a picture's statistics.

    Without them all cells would be alike, unlike those of a trained network.
    """
    model = tiny.create("tiny-RN", seed=1)
    for module in model.visual.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the statistics of what comes, not a moving average
            module.reset_running_stats()
    model.visual.train()
    with torch.inference_mode():
        towers.resnet_cells(model.visual, network_input(small_photograph()))
    model.eval()
    path = tmp_path_factory.mktemp("weights") / "tiny.pt"
    torch.save(model.state_dict(), path)
    return model, dc.load_encoder("tiny-RN", path, device="cpu", precision="fp32")


def test_released_pipeline_matches_plain_loops(resnet):
    """All 20 combinations of published bins and words, on a small frame."""
    model, encoder = resnet
    frame = small_photograph()
    image = network_input(frame)
    views = [naive.layer4(model, view) for view in (image, torch.flip(image, [3]))]
    for prompts, words in naive.WORDS.items():
        texts = naive.text_vectors(model, encoder.tokenizer, words.split(";"))
        weights = [naive.cell_weights(view, texts) for view in views]
        for bins, depths in naive.BINS.items():
            cells = naive.flip_average(*(naive.cell_depths(w, depths) for w in weights))
            expected = naive.upsample(cells, *SMALL.shape)
            got = dc.predict_depth(frame[None], encoder, prompts=prompts, bins=bins, crop=SMALL)
            assert got.shape == (1, 128, 160) and got.dtype == np.float32
            # The softmax multiplies fp32's rounding of s by 1000: at a few cells, where words
            # tie, it moves the released network's own depths by 2e-4 m.
            difference = np.abs(got[0] - expected)
            assert difference.mean() < 3e-5 and difference.max() < 1e-3
            assert np.ptp(expected) > 0.05  # a flat map would agree with anything


@pytest.fixture(scope="module")
def sample():
    return dc.load_encoder("sample", device="cpu")


def test_frames_of_a_batch_are_independent(sample):
    frames = np.stack([photograph(seed)[:192, :256] for seed in range(3)])
    together = dc.predict_depth(frames, sample, batch_size=2)
    alone = np.concatenate([dc.predict_depth(f[None], sample) for f in frames])
    np.testing.assert_allclose(together, alone, atol=1e-3)


def test_flip_average_is_symmetric(sample):
    frame = photograph()[:, 4:596]  # the window of a photo is all of it
    straight = dc.predict_depth(frame[None], sample)
    mirrored = dc.predict_depth(frame[None, :, ::-1], sample)
    np.testing.assert_allclose(mirrored[..., ::-1], straight, atol=1e-3)
    once = dc.predict_depth(frame[None], sample, flip=False)
    assert np.abs(once - straight).max() > 1e-2


def test_depth_is_the_sum_of_pixel_weights_times_bins(sample):
    frames = photograph()[None]
    for flip in (True, False):
        text = sample.text_vectors(PROMPTS["original"])
        similarities = respond(frames, sample, text, ["value"], flip)["value"]
        assert similarities.shape == (1, 2 if flip else 1, 7, 15, 20)
        weights = naive.pixel_weights(similarities, (480, 640))
        depth = np.tensordot(weights, BINS["original"], axes=(1, 0))
        expected = dc.predict_depth(frames, sample, head="value", flip=flip)
        np.testing.assert_allclose(depth, expected, atol=1e-5)


def test_any_size_and_number_of_words(sample):
    frames = photograph()[None, :333, :250]
    depth = dc.predict_depth(frames, sample, ["near", "far"], [1.0, 5.0], head="attention")
    assert depth.shape == (1, 333, 250)
    assert 1 <= depth.min() < depth.max() <= 5


def test_no_frames_give_no_depth(sample):
    empty = np.zeros((0, 480, 640, 3), np.uint8)
    assert dc.predict_depth(empty, sample).shape == (0, 480, 640)
    assert dc.predict_depth(empty, sample, crop=RELEASED_WINDOW).shape == (0, 416, 544)


def test_read_only_frames_give_no_warning(sample):
    frames = photograph()[None, :96, :128]
    expected = dc.predict_depth(frames, sample, head="value")
    frames.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = dc.predict_depth(frames, sample, head="value")
        turned = dc.predict_depth(frames[:, ::-1], sample, head="value")
    assert np.array_equal(got, expected) and not np.array_equal(turned, expected)


def test_batch_size_takes_numpys_integers(sample):
    frames = np.stack([photograph()[:64, :64]] * 2)
    assert dc.predict_depth(frames, sample, batch_size=np.int64(1)).shape == (2, 64, 64)


def test_frame_is_seen_through_the_crop_of_its_data_set(sample):
    rgb = photograph()
    frame = dc.Frame(name="a", rgb=rgb, crop=RELEASED_WINDOW)
    expected = dc.predict_depth(rgb[None, 56:472, 60:604], sample)
    for given in (frame, [frame], (frame,)):
        np.testing.assert_array_equal(dc.predict_depth(given, sample), expected)
    cropped = dc.predict_depth(rgb[None], sample, crop=RELEASED_WINDOW)
    np.testing.assert_array_equal(cropped, expected)
    assert dc.predict_depth([frame, frame], sample, head="value").shape == (2, 416, 544)


def test_array_is_seen_whole(sample):
    """480 x 640 pixels are NYU's, and a webcam's too."""
    assert dc.predict_depth(photograph()[None], sample).shape == (1, 480, 640)
    assert dc.predict_depth([photograph()] * 2, sample).shape == (2, 480, 640)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"frames": np.zeros((480, 640, 3), np.uint8)}, "shape"),
        ({"frames": np.zeros((1, 480, 640, 3))}, "uint8.* got float64: convert"),
        ({"frames": np.full((1, 64, 64, 3), 300.0, np.float32)}, "uint8.* got float32: convert"),
        ({"frames": np.zeros((1, 64, 64, 3), np.int64)}, "uint8 .* got int64"),
        ({"frames": "photo.jpg"}, "uint8 .* got <U9"),
        ({"frames": None}, "uint8 .* got object"),
        ({"frames": []}, "no frames"),
        ({"encoder": "sample"}, "encoder must be what load_encoder returns, got 'sample'"),
        ({"encoder": None}, "encoder must be what load_encoder returns"),
        ({"head": ["value"]}, "unknown head"),
        ({"head": None}, "unknown head"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1, got 0"),
        ({"batch_size": -1}, "batch_size must be a whole number from 1"),
        ({"batch_size": 1.5}, "batch_size must be a whole number from 1"),
        ({"batch_size": True}, "batch_size must be a whole number from 1"),
        ({"temperature": "0.1"}, "temperature must be a number, got '0.1'"),
        ({"temperature": None}, "must be a number"),
        ({"temperature": np.nan}, "positive and finite"),
        ({"logit_scale": -1}, "positive and finite"),
        ({"crop": (0, 10, 0, 10)}, "crop must be a settings.Window"),
        ({"frames": np.zeros((1, 3, 480, 640), np.uint8)}, "shape"),
        ({"prompts": "prompt-4"}, "did you mean 'prompt-"),
        ({"prompts": ["near", "far"]}, "7 depths but there are 2 words"),
        ({"bins": [1.0, 2.0]}, "2 depths but there are 7 words"),
        ({"head": "relased"}, "did you mean 'released'"),
        ({"temperature": 0.0}, "positive"),
        ({"crop": Window(0, 500, 0, 640)}, "does not lie in an image of 480 x 640"),
        ({"frames": [photograph(), photograph()[:300]]}, "several sizes"),
    ],
)
def test_bad_input_is_one_clear_line(sample, options, says):
    options = {"frames": photograph()[None], "encoder": sample} | options
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        dc.predict_depth(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("channel", [6, 7])
@pytest.mark.parametrize("head", ["released", "value"])
def test_overflow_is_an_error(channel, head):
    """Of half precision; a channel that the released head drops, too."""
    encoder = dc.load_encoder("sample", device="cpu", precision="fp32")
    features = encoder.features

    @torch.inference_mode()
    def overflowing(self, images):
        found = features(images)
        found.cells[-1, channel, 0, 0] = torch.inf
        return found

    encoder.features = MethodType(overflowing, encoder)
    with pytest.raises(dc.DepthClipError, match="sample in fp32 gives depth that is NaN") as caught:
        dc.predict_depth(photograph()[None], encoder, head=head)
    assert "fp16" not in str(caught.value)
    encoder.precision = "fp16"
    with pytest.raises(dc.DepthClipError, match="its fp16 overflows; load it with .* fp32 or bf16"):
        dc.predict_depth(photograph()[None], encoder, head=head)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_depth_maps_are_nan_around_cells_that_are_not_finite(bad):
    similarities = torch.rand(1, 2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    with pytest.raises(dc.DepthClipError, match="bins must be finite"):
        depth_maps(similarities, [1.0, bad, 3.0], (8, 10))
    similarities[0, 1, 2, 3, 4] = bad  # the mirror image's
    depth = depth_maps(similarities, [1.0, 2.0, 3.0], (8, 10))
    assert np.isnan(depth[0, -1, 0]) and np.isfinite(depth[0, 0, -1])
