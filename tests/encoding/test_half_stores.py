"""Arrays stored in half precision: half the space, read as fp32, and how far they move results."""

import numpy as np
import pytest
import torch

import depthclip_core as dc
from depthclip_core.clip.heads import MAIN_HEADS
from depthclip_core.encoding.jobs import EncodingJob
from depthclip_core.encoding.passes import collect_responses, encode
from depthclip_core.encoding.store import Store
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.method.pipeline import depth_maps
from depthclip_core.settings import BINS, PROMPTS

WORDS = PROMPTS["original"]
METRES = BINS["original"]


@pytest.fixture(scope="module")
def encoder(own_store):
    return dc.load_encoder("sample", device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def frames():
    return dc.open_dataset("sample", "test")


def collect(frames, encoder, store, **options):
    return collect_responses(
        frames, encoder, WORDS, MAIN_HEADS, store=store, progress=False, **options
    )


@pytest.fixture(scope="module")
def full_store(frames, encoder, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("full"))
    collect(frames, encoder, store)
    return store


def kept(store):
    """The store's arrays by kind and head, those of sentences left out."""
    arrays = {(a.settings["kind"], a.settings.get("head")): a for a in store.arrays()}
    return {name: array for name, array in arrays.items() if name[0] != "sentences"}


def copy_halved(frames, encoder, full_store, folder, kind):
    """What a pass with dtype float16 stores, without the pass: the network would give the same."""
    job = EncodingJob(frames, encoder, None, Store(folder), "float16")
    for (of_kind, head), array in kept(full_store).items():
        if of_kind == kind:
            half = job.vectors(head) if kind == "vectors" else job.similarities(head, WORDS)
            for chunk in range(array.n_chunks):
                job.write(half, chunk, array.read(chunk))
    return Store(folder)


# Metres that a depth moves, and how far a metric does, in its own unit: twice what was measured.
# Where two words tie, the softmax multiplies the rounding of a similarity by 1,000.
LIMITS = {
    ("similarities", "released"): (0.015, 1e-5),
    ("similarities", "value"): (0.11, 3e-5),
    ("vectors", "released"): (0.025, 1.3e-5),
    ("vectors", "value"): (0.11, 4e-5),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["similarities", "vectors"])
def test_half_store_moves_depth_and_metrics_little(frames, encoder, full_store, tmp_path, kind):
    halved = copy_halved(frames, encoder, full_store, tmp_path, kind)
    options = {"keep": kind, "dtype": "float16"}
    found, exact = collect(frames, encoder, halved, **options), collect(frames, encoder, full_store)
    truths = list(frames.ground_truths())
    for head in ("released", "value"):
        assert found[head].dtype == torch.float32
        maps, exact_maps = (depths(frames, one[head]) for one in (found, exact))
        means, exact_means = (
            sweep(truths, one[head], {"original": METRES}).means().iloc[0] for one in (found, exact)
        )
        moved = float(np.abs(maps - exact_maps).max())
        drift = (means - exact_means).abs()
        print(
            kind,
            head,
            moved,
            drift.max(),
            drift.idxmax(),
            float((found[head] - exact[head]).abs().max()),
            dict(drift),
        )
        most_metres, most_drift = LIMITS[kind, head]
        assert 0 < moved <= most_metres and drift.max() <= most_drift


def depths(frames, similarities):
    return depth_maps(similarities, METRES, frames.crop.shape)


def test_half_store_takes_half_the_space_and_keeps_the_old_keys(frames, encoder, tmp_path):
    few = frames[:3]
    for dtype in ("float32", "float16"):
        encode(few, encoder, dtype=dtype, store=Store(tmp_path / dtype), progress=False)
    (full,), (half,) = (Store(tmp_path / dtype).arrays() for dtype in ("float32", "float16"))
    assert "dtype" not in full.settings and half.settings == full.settings | {"dtype": "float16"}
    assert full.read(0).dtype == np.float32 and half.read(0).dtype == np.float16
    assert np.array_equal(half.read(0), full.read(0).astype(np.float16))
    assert half.size < 0.51 * full.size


def test_half_similarities_are_those_of_the_pass(frames, encoder, tmp_path):
    few, options = frames[:3], {"keep": "similarities", "store": Store(tmp_path), "progress": False}
    exact = collect_responses(few, encoder, WORDS, **options)["released"]
    half = collect_responses(few, encoder, WORDS, dtype="float16", **options)["released"]
    assert half.dtype == torch.float32 and torch.equal(half, exact.half().float())
    assert not torch.equal(half, exact)


def test_half_vectors_are_read_again_for_other_words(frames, encoder, tmp_path, monkeypatch):
    few, options = frames[:3], {"dtype": "float16", "store": Store(tmp_path), "progress": False}
    encode(few, encoder, **options)
    monkeypatch.setattr(encoder, "features", lambda images: pytest.fail("a second pass"))
    found = collect_responses(few, encoder, ["near", "far"], **options)["released"]
    assert found.shape == (3, 2, 2, 13, 17) and found.dtype == torch.float32


@pytest.mark.parametrize("value", [65520.0, -1e9])
def test_number_beyond_half_precision_is_one_clear_line(frames, encoder, tmp_path, value):
    job = EncodingJob(frames[:3], encoder, None, Store(tmp_path), "float16")
    array, values = job.vectors("value"), np.zeros((3, 2, 4), np.float32)
    values[1, 0, 2] = value
    with pytest.raises(
        dc.DepthClipError, match="cannot hold .*float16 ends at 65504: keep"
    ) as caught:
        job.write(array, 0, values)
    assert "\n" not in str(caught.value) and array.missing() == [0]
    values[1, 0, 2] = 65519.0  # rounded down to the largest
    job.write(array, 0, values)
    assert array.read(0)[1, 0, 2] == 65504


@pytest.mark.parametrize("dtype", ["float64", "half", None, np.float16])
def test_other_types_are_refused(frames, encoder, tmp_path, dtype):
    with pytest.raises(dc.DepthClipError, match="dtype is 'float32' or 'float16', not"):
        encode(frames[:3], encoder, dtype=dtype, store=Store(tmp_path), progress=False)
