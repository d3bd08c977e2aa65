"""One pass over a data set, whatever is asked, killed, damaged or asked twice."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import depthclip_core as dc
from depthclip_core.clip import encoders
from depthclip_core.clip.library import create_model
from depthclip_core.datasets.base import Dataset
from depthclip_core.encoding import passes as encoding
from depthclip_core.encoding.passes import collect_responses, direction_similarities, encode
from depthclip_core.encoding.store import CHUNK, Store, StoredArray
from depthclip_core.encoding.vectors import text_vectors
from depthclip_core.method import pipeline
from depthclip_core.settings import PROMPTS

SIZE = (64, 96)  # of the network's input: quick
N = CHUNK + 6  # two chunks
WORDS = ("near", "far")


class Generated(Dataset):
    """Frames made when they are asked for, as a large data set's are read; each one different."""

    names = property(lambda self: [f"{i:05d}" for i in range(len(self))])

    def __init__(self, n):
        self.n, self.title = n, f"{n} generated frames"
        rng = np.random.default_rng(0)
        self.picture = rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)

    def __len__(self):
        return self.n

    def read_frame(self, index):
        rgb = np.roll(self.picture, (index % 64, index // 64), (0, 1))
        return dc.Frame(name=f"{index:05d}", rgb=rgb)

    def identity(self, checksums):
        return {"title": f"{len(self)} generated frames"}


@pytest.fixture(scope="module")
def encoder():
    return dc.load_encoder("sample", device="cpu", precision="fp32")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def passes(encoder, monkeypatch):
    """How many views went through the network, and how many sentences through the text tower."""
    count = {"views": 0, "sentences": 0}
    features, encode_text = encoder.features, encoder.encode_text

    def counted_features(images):
        count["views"] += len(images)
        return features(images)

    def counted_text(sentences):
        count["sentences"] += len(sentences)
        return encode_text(sentences)

    monkeypatch.setattr(encoder, "features", counted_features)
    monkeypatch.setattr(encoder, "encode_text", counted_text)
    return count


def arrays(store, *kinds):
    """The store's arrays of these kinds."""
    return [array for array in store.arrays() if array.settings["kind"] in kinds]


def collect(encoder, store, words=WORDS, heads=("value",), n=N, **options):
    return collect_responses(
        Generated(n), encoder, words, heads, store=store, progress=False, **options
    )


def test_collect_responses_matches_the_pipeline(encoder, store):
    got = collect(encoder, store, heads=["value", "released"])
    frames = np.stack([f.rgb for f in (Generated(N)[i] for i in range(N))])
    with torch.inference_mode():
        text = encoder.text_vectors(WORDS)
        expected = pipeline.respond(frames, encoder, text, ["value", "released"])
    for head in ("value", "released"):
        assert got[head].shape == (N, 2, 2, 2, 3) and got[head].dtype == torch.float32
        torch.testing.assert_close(got[head], expected[head], rtol=0, atol=2e-6)
    assert got["value"].std() > 1e-3


def test_later_words_and_heads_need_no_second_pass(encoder, store, passes):
    heads = ["value", "released", "attention"]
    first = collect(encoder, store, heads=heads)
    assert passes == {"views": 2 * N, "sentences": 2}
    again = collect(encoder, store, heads=heads)
    assert passes == {"views": 2 * N, "sentences": 2}  # nothing was computed
    assert all(torch.equal(first[head], again[head]) for head in heads)
    other = collect(encoder, store, PROMPTS["prompt-2"], heads)
    assert passes == {"views": 2 * N, "sentences": 9}  # new words: text and a matrix product
    assert other["released"].shape == (N, 2, 7, 2, 3)
    collect(encoder, store, WORDS[::-1], heads)
    assert passes["views"] == 2 * N


def test_repeated_head_is_encoded_once(encoder, store, passes):
    got = collect(encoder, store, heads=["value", "value"])
    assert list(got) == ["value"] and passes["views"] == 2 * N


def test_direction_similarities_are_those_of_stored_vectors(encoder, store, passes):
    own = collect(encoder, store)["value"]
    frames, text = Generated(N), encoder.text_vectors(WORDS)
    found = direction_similarities(frames, encoder, text, "value", store=store)
    torch.testing.assert_close(found, own, rtol=0, atol=2e-6)
    assert passes["views"] == 2 * N
    every = torch.eye(encoder.channels)[:3]
    cells = direction_similarities(frames, encoder, every, "backbone", store=store)
    assert cells.shape == (N, 2, 3, 2, 3) and passes["views"] == 4 * N
    with pytest.raises(dc.DepthClipError, match=f"vectors of head 'backbone' {encoder.channels}"):
        direction_similarities(frames, encoder, text, "backbone", store=store)


def test_similarities_alone_are_the_same_and_small(encoder, store, passes, tmp_path):
    small = Store(tmp_path / "small")
    one = collect(encoder, small, keep="similarities")["value"]
    other = collect(encoder, store)["value"]
    torch.testing.assert_close(one, other, rtol=0, atol=2e-6)
    size = [array.size for s in (small, store) for array in arrays(s, "similarities", "vectors")]
    assert size[0] < sum(size[1:]) / 15
    before = passes["views"]
    collect(encoder, small, ("close", "remote"), keep="similarities")
    assert passes["views"] == before + 2 * N  # what was not kept must be made again


def test_stored_vectors_are_used_for_similarities(encoder, store, passes):
    encode(Generated(N), encoder, ["value"], store=store, progress=False)
    collect(encoder, store, keep="similarities")
    assert passes["views"] == 2 * N


@pytest.mark.parametrize(
    "change", ["size", "frames", "weights", "precision", "normalisation", "activation", "version"]
)
def test_arrays_are_keyed_by_all_that_they_depend_on(encoder, store, change, monkeypatch, tmp_path):
    options = {"size": SIZE, "n": 8}
    collect(encoder, store, **options)
    before = len(arrays(store, "vectors", "similarities"))
    load = {"device": "cpu", "precision": "fp32"}
    if change == "size":
        options["size"] = (96, 96)
    elif change == "frames":
        options["n"] = 9
    elif change == "normalisation":
        monkeypatch.setattr(encoders, "MEAN", (0.5, 0.5, 0.5))
    elif change == "version":
        monkeypatch.setattr(encoders, "COMPUTATION_VERSION", encoders.COMPUTATION_VERSION + 1)
        encoder = dc.load_encoder("sample", **load)
    elif change == "activation":
        configuration = replace(encoder.configuration, quick_gelu=False)
        model = encoder.model
        encoder = encoders.Encoder(lambda: model, configuration, "own", encoder.device)
    elif change == "precision":
        encoder = dc.load_encoder("sample", **load | {"precision": "fp16"})
    else:
        state = {name: tensor.clone() for name, tensor in encoder.model.state_dict().items()}
        state["visual.layer4.0.conv3.weight"][0, 0, 0, 0] += 1
        save_file(state, tmp_path / "changed.safetensors")
        encoder = dc.load_encoder("sample", tmp_path / "changed.safetensors", **load)
    collect(encoder, store, **options)
    assert len(arrays(store, "vectors", "similarities")) == 2 * before


def test_text_is_encoded_once_for_all_data_sets(encoder, store, passes):
    collect(encoder, store, n=3)
    collect(encoder, store, n=4, keep="similarities")
    assert passes == {"views": 14, "sentences": 2}
    assert len(arrays(store, "sentences")) == 1


def test_size_sets_the_networks_input(encoder, store):
    got = collect(encoder, store, size=(128, 160), n=4)["value"]
    assert got.shape == (4, 2, 2, 4, 5)
    with pytest.raises(dc.DepthClipError, match="smaller than one cell"):
        collect(encoder, store, size=(16, 160), n=4)


def test_second_view_is_the_mirror_image(encoder, store):
    class Mirrored(Generated):
        def read_frame(self, index):
            frame = super().read_frame(index)
            return dc.Frame(name=frame.name, rgb=np.ascontiguousarray(frame.rgb[:, ::-1]))

        def identity(self, checksums):
            return {"title": "mirrored"}

    one = collect(encoder, store, n=3)["value"]
    frames = Mirrored(3)
    other = collect_responses(frames, encoder, WORDS, ["value"], store=store, progress=False)[
        "value"
    ]
    torch.testing.assert_close(one, other.flip(1), rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", ["vectors", "similarities"])
def test_damaged_chunk_alone_is_computed_again(encoder, store, passes, kind):
    whole = collect(encoder, store)["value"]
    array = next(a for a in store.arrays() if a.settings["kind"] == kind)
    if kind == "vectors":
        for other in store.arrays():
            if other is not array and other.settings["kind"] == "similarities":
                for chunk in range(other.n_chunks):
                    other.discard(chunk)
    path = max(array.folder.glob("*.h5"))  # the last chunk: 6 frames
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    before = passes["views"]
    with pytest.warns(UserWarning, match="computed again"):
        again = collect(encoder, store)["value"]
    torch.testing.assert_close(again, whole, rtol=0, atol=2e-6)
    assert passes["views"] - before == (12 if kind == "vectors" else 0)
    assert torch.equal(collect(encoder, store)["value"], again)


def test_chunk_repaired_by_another_process_is_kept(encoder, store, monkeypatch):
    whole = collect(encoder, store)["value"]
    array = next(a for a in store.arrays() if a.settings["kind"] == "similarities")
    path = array.path(1)
    sound = path.read_bytes()
    path.write_bytes(sound[:-1])
    discarded = []
    hold = encoding.hold

    def hold_after_the_other(repaired, *args, **options):
        if repaired.key == array.key:
            path.write_bytes(sound)
        return hold(repaired, *args, **options)

    monkeypatch.setattr(encoding, "hold", hold_after_the_other)
    monkeypatch.setattr(StoredArray, "discard", lambda self, chunk: discarded.append(chunk))
    with pytest.warns(UserWarning, match="computed again"):
        assert torch.equal(collect(encoder, store)["value"], whole)
    assert discarded == []


def test_chunk_removed_before_reading_is_computed_again(encoder, store, passes, monkeypatch):
    whole = collect(encoder, store)["value"]
    read, removed = StoredArray.read, []

    def read_after_a_prune(self, chunk):
        if not removed and self.settings["kind"] == "similarities":
            removed.append(chunk)
            self.discard(chunk)
        return read(self, chunk)

    monkeypatch.setattr(StoredArray, "read", read_after_a_prune)
    with pytest.warns(UserWarning, match="computed again"):
        assert torch.equal(collect(encoder, store)["value"], whole)
    assert removed and passes["views"] == 2 * N


def test_failed_writing_ends_the_run(encoder, store, monkeypatch):
    def full(self, chunk, values, **provenance):
        raise dc.DepthClipError("no space left")

    monkeypatch.setattr(StoredArray, "write", full)
    with pytest.raises(dc.DepthClipError, match="no space left"):
        collect(encoder, store)


RUN = """
import sys
sys.path.insert(0, {tests!r})
import test_encoding as t
import depthclip_core as dc
from depthclip_core.encoding.store import Store
encoder = dc.load_encoder("sample", device="cpu", precision="fp32")
features, views = encoder.features, 0
def counted(images):
    global views
    views += len(images)
    return features(images)
encoder.features = counted
print("ready", flush=True)
t.collect(encoder, Store({store!r}), n={n})
print("views", views, flush=True)
"""


def start(store, n):
    code = RUN.format(tests=str(Path(__file__).parent), store=str(store.folder), n=n)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.slow
def test_killed_run_continues_where_it_stopped(encoder, store, passes, tmp_path):
    n = 5 * CHUNK
    run = start(store, n)
    run.stdout.readline()
    deadline = time.monotonic() + 60
    while len(list(store.folder.rglob("[!.]*.h5"))) < 2:
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.wait()
    (array,) = arrays(store, "vectors")
    left = array.missing()
    assert 0 < len(left) <= 3
    for chunk in set(range(5)) - set(left):
        assert array.read(chunk).shape == (CHUNK, 2, 256, 2, 3)
    got = collect(encoder, store, n=n)["value"]
    assert passes["views"] == 2 * CHUNK * len(left)
    torch.testing.assert_close(
        got, collect(encoder, Store(tmp_path / "fresh"), n=n)["value"], rtol=0, atol=2e-6
    )


@pytest.mark.slow
def test_two_processes_do_the_work_once(store):
    runs = [start(store, 3 * CHUNK) for _ in range(2)]
    views = [int(run.communicate(timeout=120)[0].split()[-1]) for run in runs]
    assert sorted(views) == [0, 6 * CHUNK] or sum(views) == 6 * CHUNK


MEMORY = """
import sys
sys.path.insert(0, {tests!r})
import psutil, torch
import test_encoding as t
import depthclip_core as dc
from depthclip_core.encoding.store import Store
torch.set_num_threads(1)
encoder = dc.load_encoder("sample", device="cpu", precision="fp32")
t.collect(encoder, Store({store!r}), n=64, keep="similarities")
before = psutil.Process().memory_info().rss
t.encode(t.Generated({n}), encoder, ["value"], t.WORDS, store=Store({store!r}), progress=False)
print((psutil.Process().memory_info().rss - before) / 2**20)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_data_set(store):
    """4,000 frames of 18 kB and their vectors would take 120 MiB; the benchmark has 50,000."""
    code = MEMORY.format(tests=str(Path(__file__).parent), store=str(store.folder), n=4000)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 60


def test_too_little_gpu_memory_makes_batches_smaller(encoder, store, monkeypatch):
    """The first passes fail as a GPU's do; what comes out is whole and in order."""
    expected = collect(encoder, store)["value"]
    sizes = []
    whole = encoding.head_vectors

    def scarce(frames, *args, **options):
        sizes.append(len(frames))
        if len(frames) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return whole(frames, *args, **options)

    monkeypatch.setattr(encoding, "head_vectors", scarce)
    got = collect(encoder, Store(store.folder.with_name("other")))["value"]
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-6)
    assert max(sizes) > 3 and sizes[-1] <= 3
    monkeypatch.setattr(
        encoding, "head_vectors", lambda *a, **o: (_ for _ in ()).throw(torch.OutOfMemoryError())
    )
    with pytest.raises(dc.DepthClipError, match="too little memory for one frame"):
        collect(encoder, Store(store.folder.with_name("third")))


def overflowing(encoder, monkeypatch, frame):
    """An encoder of whose cells one overflows, in the frame of that position."""
    features, seen = encoder.features, []

    @torch.inference_mode()
    def with_overflow(images):
        found = features(images)
        seen.append(len(images) // 2)
        inside = frame - sum(seen[:-1])
        if 0 <= inside < seen[-1]:
            found.cells[2 * inside, 1, 0, 0] = torch.inf
        return found

    monkeypatch.setattr(encoder, "features", with_overflow)
    monkeypatch.setattr(encoder, "precision", "fp16")


@pytest.mark.parametrize("keep", ["vectors", "similarities"])
def test_overflow_is_an_error_and_is_not_kept(encoder, store, keep, monkeypatch):
    overflowing(encoder, monkeypatch, frame=CHUNK + 2)
    with pytest.raises(dc.DepthClipError, match="its fp16 overflows; load it with") as caught:
        collect(encoder, store, heads=["released"], keep=keep)
    assert "\n" not in str(caught.value)
    (array,) = arrays(store, keep)
    assert array.missing() == [1]  # what was sound before is kept


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["vectors", "similarities"])
def test_stored_chunk_that_is_not_finite_is_an_error(encoder, store, kind, value):
    sound = collect(encoder, store)["value"]
    array = next(a for a in store.arrays() if a.settings["kind"] == kind)
    values = array.read(1)
    values[3, 1, 0, 0, 0] = value
    array.write(1, values)
    words = WORDS if kind == "similarities" else WORDS[::-1]
    with pytest.raises(
        dc.DepthClipError, match=r"chunk-00001\.h5 holds NaN .* remove it, and run again"
    ):
        collect(encoder, store, words)
    array.path(1).unlink()
    again = collect(encoder, store, words)["value"]
    expected = sound if kind == "similarities" else sound.flip(2)
    torch.testing.assert_close(again, expected, rtol=0, atol=2e-6)


def test_similarities_that_are_not_finite_are_not_kept(encoder, store, monkeypatch):
    encode(Generated(3), encoder, ["value"], store=store, progress=False)
    text = torch.full((2, 256), torch.nan)
    monkeypatch.setattr(encoder, "encode_text", lambda sentences: text)
    with pytest.raises(dc.DepthClipError, match="sample in fp32 gives a value similarity that is"):
        collect(encoder, store, n=3)
    assert not any(array.complete for array in arrays(store, "similarities", "sentences"))


def test_random_weights_leave_nothing_in_the_users_store(encoder, tmp_path, monkeypatch):
    monkeypatch.setenv("DEPTHCLIP_STORE", str(tmp_path / "store"))
    build = partial(create_model, encoder.configuration, encoder.device)
    random = encoders.Encoder(build, encoder.configuration, "random", encoder.device)
    assert collect(random, None, n=2)["value"].shape == (2, 2, 2, 2, 3)
    assert text_vectors(random, WORDS).shape == (2, 256)
    assert not (tmp_path / "store").exists()


def test_bad_input_is_one_clear_line(encoder, store):
    for options, says in [
        ({"n": 0}, "no frames"),
        ({"keep": "all"}, "keep is 'vectors' or 'similarities'"),
        ({"heads": ["relased"]}, "did you mean 'released'"),
        ({"heads": ["backbone"]}, "cannot be compared with words"),
        ({"words": ()}, "one or more"),
        ({"heads": "value"}, "is a list of names"),
        ({"size": 64}, "rows and columns"),
        ({"size": (64.5, 96)}, "rows and columns"),
    ]:
        with pytest.raises(dc.DepthClipError, match=says):
            collect(encoder, store, **options)
    assert not store.folder.exists() or store.arrays() == []
