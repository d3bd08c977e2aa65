"""What whole questions cost: the paper's ablation, ever more frames, ever more partitions."""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import pandas as pd
import torch

from depthclip_core.bench import plain
from depthclip_core.bench.machine import compare, memory_growth
from depthclip_core.bench.passes import METRES, WORDS, released_precision, responses, seeded_encoder
from depthclip_core.clip.encoders import load_encoder
from depthclip_core.clip.heads import MAIN_HEADS
from depthclip_core.clip.towers import PRECISIONS
from depthclip_core.cores import usable_cores
from depthclip_core.datasets import Dataset, Frame, open_dataset
from depthclip_core.datasets.base import Checksums
from depthclip_core.encoding.passes import collect_responses, encode
from depthclip_core.encoding.store import CHUNK, Store
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.quadratic import error_forms
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.files import temporary_folder
from depthclip_core.method.similarities import bin_weights
from depthclip_core.settings import BINS, PROMPTS, PUBLISHED_METRICS, RELEASED_WINDOW, TEMPERATURE


class GeneratedFrames(Dataset):
    """n different pictures of NYU's size, made when they are read: a data set of any length."""

    crop = RELEASED_WINDOW

    def __init__(self, n: int):
        self.n, self.title = n, f"{n} generated frames"
        self.picture = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return self.n

    def read_frame(self, index: int) -> Frame:
        rgb = np.roll(self.picture, (index % 480, index // 480), (0, 1))
        return Frame(name=f"{index:06d}", rgb=rgb, crop=self.crop)

    def identity(self, checksums: Checksums) -> dict:
        return {"title": self.title}


def ablation(name: str, device: torch.device, n_frames: int) -> dict:
    """The paper's ablation, five partitions and three more lists of words, both ways.

    The released way passes every frame through the network for each of the eight settings.
    """
    frames = open_dataset("sample", "test")
    n_frames = min(n_frames, len(frames))
    precision = released_precision(device)
    encoder = seeded_encoder(name, device, precision)
    settings = [("original", bins) for bins in BINS] + [(p, "original") for p in list(PROMPTS)[1:]]
    pictures = [frames.rgb(position) for position in range(n_frames)]
    ground_truths = [frames.raw_depth(position) for position in range(n_frames)]
    visual = seeded_encoder(name, device, "fp32").visual.to(PRECISIONS[precision])

    start, released = time.perf_counter(), {}
    with torch.inference_mode():
        for prompts, bins in settings:
            text = encoder.text_vectors(PROMPTS[prompts])
            metres = torch.tensor(BINS[bins], device=device)
            depths = [plain.released_depth(p, visual, text, metres).cpu().numpy() for p in pictures]
            rows = map(plain.released_scores, depths, ground_truths)
            released[prompts, bins] = pd.DataFrame(rows).mean()
    released_seconds = time.perf_counter() - start

    start, ours = time.perf_counter(), {}
    few = [Frame(str(i), picture, crop=frames.crop) for i, picture in enumerate(pictures)]
    with temporary_folder() as folder:
        store = Store(folder)

        def collect(prompts: str) -> torch.Tensor:
            return collect_responses(few, encoder, prompts, store=store, progress=False)["released"]

        for prompts in PROMPTS:
            similarities = collect(prompts)
            bins = dict(BINS) if prompts == "original" else {"original": METRES}
            means = sweep(ground_truths, similarities, bins).means()[list(PUBLISHED_METRICS)]
            ours |= {(prompts, row[0]): mean for row, mean in means.iterrows()}
        first_seconds = time.perf_counter() - start
        start = time.perf_counter()
        sweep(ground_truths, collect("original"), dict(BINS))
    again_seconds = time.perf_counter() - start
    return {
        "frames": n_frames,
        "settings": len(settings),
        "released_seconds": released_seconds,
        "ours_seconds": first_seconds,
        "five_partitions_again_seconds": again_seconds,
        "speedup": released_seconds / first_seconds,
        "largest_difference": max(float((released[s] - ours[s]).abs().max()) for s in settings),
    }


def growth_of_frames(device: torch.device, counts: Sequence[int]) -> list[dict]:
    """Encode ever more generated frames of 480 x 640, each count in a process of its own.

    With the sample's CLIP at 96 x 128 pixels, so that large numbers take minutes, and similarities
    kept; then, for its memory, RN50 at the window's own size with the vectors of three heads. On a
    GPU also RN50's similarities, the speed from frames in memory to the store.
    """
    small = {"network": "sample", "size": (96, 128), "heads": ["value"], "words": WORDS}
    large = {"network": "RN50", "size": None, "heads": list(MAIN_HEADS), "words": None}
    tasks = [(count, small) for count in counts] + [(4 * CHUNK, large)]
    if device.type == "cuda":  # the whole way at full size, which takes minutes on a CPU
        tasks.append((128 * CHUNK, large | {"heads": ["released"], "words": WORDS}))
    return [encode_alone(device=str(device), count=count, **task) for count, task in tasks]


def encode_alone(**task: object) -> dict:
    """What `_encode_generated` returns in a fresh process: nothing before counts as its memory."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_encode_generated, **task).result()


def _encode_generated(device: str, count: int, network: str, size, heads, words) -> dict:
    where = torch.device(device)
    if network == "sample":
        encoder = load_encoder(network, device=device)
    else:
        encoder = seeded_encoder(network, where, released_precision(where))
    with temporary_folder() as folder:
        store = Store(folder)
        # A warm-up frame, so that the network's own memory does not count.
        GeneratedFrames(1).rgb_batch([0])
        images = encoder.normalise(np.zeros((2, *(size or RELEASED_WINDOW.shape), 3), np.uint8))
        encoder.features(images)
        start = time.perf_counter()
        with memory_growth() as memory:
            frames = GeneratedFrames(count)
            encode(frames, encoder, heads, words, size=size, store=store, progress=False)
        seconds = time.perf_counter() - start
        return {
            "network": network,
            "frames": count,
            "seconds": seconds,
            "frames_per_second": count / seconds,
            "memory_mib": memory["bytes"] / 2**20,
            "store_mib": sum(array.size for array in store.arrays()) / 2**20,
        }


def growth_of_partitions(device: torch.device, counts: Sequence[int], rounds: int) -> list[dict]:
    """Six exact metrics of ever more partitions on the sample's frames, against plain torch.

    On a CPU both keep to one core. two_threads: our rate on two threads over that on one.
    """
    frames = open_dataset("sample", "test")
    n_frames = 8
    ground_truths = [torch.from_numpy(frames.ground_truth(i)) for i in range(n_frames)]
    arrays = [truth.numpy() for truth in ground_truths]
    encoder = load_encoder("sample", device="cpu")
    similarities = responses(frames.rgb_batch(range(n_frames)), encoder, "value", frames.crop)
    weights = bin_weights(similarities.flatten(0, 1), TEMPERATURE).unflatten(0, (n_frames, 2))
    cells = (weights[:, 0] + weights[:, 1].flip(-1)) / 2
    rows, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    for count in counts:
        bins = _random_bins(count)
        partitions = torch.from_numpy(bins.astype(np.float32))

        def straight(partitions: torch.Tensor = partitions) -> None:
            for parts in partitions.split(8):  # more at once are slower: they leave the caches
                for truth, cell in zip(ground_truths, cells, strict=True):
                    plain.vectorised_scores(cell, parts, truth)

        ours = partial(sweep, arrays, similarities, bins, device=device)
        ways = {"plain torch": straight, "ours": ours}
        if device.type == "cpu" and usable_cores() > 1:
            ways["ours, two threads"] = partial(sweep, arrays, similarities, bins, threads=2)
        table = compare(ways, device, rounds)
        rate = count * n_frames / table["seconds"]
        rows.append(
            {
                "partitions": count,
                "plain_per_second": rate["plain torch"],
                "ours_per_second": rate["ours"],
                **table.loc["ours", ["speedup", "speedup_low", "speedup_high"]],
                "two_threads": rate.get("ours, two threads", np.nan) / rate["ours"],
            }
        )
    torch.set_num_threads(threads)
    return rows


def _random_bins(n_partitions: int) -> np.ndarray:
    """Rising bins (n_partitions, 7) in metres, always the same."""
    return np.sort(np.random.default_rng(0).uniform(0.5, 9.5, (n_partitions, len(WORDS))))


def million_partitions(n_partitions: int = 1_000_000) -> dict:
    """rmse of a million partitions from the quadratic forms of the sample's test frames."""
    frames = open_dataset("sample", "test")
    encoder = load_encoder("sample")
    similarities = collect_responses(frames, encoder, WORDS, ["value"], progress=False)["value"]
    start = time.perf_counter()
    forms = error_forms(frames.ground_truths(), similarities)
    build = time.perf_counter() - start
    bins = _random_bins(n_partitions)
    start = time.perf_counter()
    rmse = forms.rmse(bins)
    seconds = time.perf_counter() - start
    few = np.linspace(0, n_partitions - 1, 5).astype(int)
    exact = sweep(frames.ground_truths(), similarities, bins[few], metrics=("rmse",)).means()
    difference = np.abs(exact["rmse"].to_numpy() - rmse[few]).max()
    if difference > 1e-6:
        raise DepthClipError(f"the quadratic forms are {difference} m off what pixels say")
    return {
        "partitions": n_partitions,
        "frames": len(frames),
        "forms_seconds": build,
        "rmse_seconds": seconds,
        "difference_m": float(difference),
    }
