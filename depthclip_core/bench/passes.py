"""What a network pass costs, against the released loop and the machine's peak, and by stage."""

import itertools
import math
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from depthclip_core.bench import plain
from depthclip_core.bench.machine import compare, matrix_peak
from depthclip_core.clip.configurations import pretrained_tags, read_configuration
from depthclip_core.clip.encoders import Encoder, load_encoder
from depthclip_core.clip.heads import MAIN_HEADS
from depthclip_core.clip.library import create_model
from depthclip_core.clip.towers import PRECISIONS, can_pack, has_compiler, resnet_cells
from depthclip_core.datasets import open_dataset
from depthclip_core.devices import card_precisions
from depthclip_core.encoding.store import CHUNK, Store
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.files import temporary_folder
from depthclip_core.method.batches import BATCH
from depthclip_core.method.pipeline import (
    depth_maps,
    predict_depth,
    predict_with_text,
    project,
    respond,
)
from depthclip_core.settings import BINS, PROMPTS, PUBLISHED_METRICS, RELEASED_WINDOW, Window

WORDS = PROMPTS["original"]
METRES = BINS["original"]
CPU = torch.device("cpu")
SECONDS = ("seconds", "seconds_low", "seconds_high")


def seeded_encoder(
    name: str, device: torch.device, precision: str, compiled: bool = False
) -> Encoder:
    """An encoder with random weights, always the same, whose cells differ as trained ones do.

    Its batch norms know the statistics of a picture; without them all cells would be alike.
    """
    torch.manual_seed(0)
    configuration = read_configuration(name, quick_gelu="openai" in pretrained_tags(name))
    model = create_model(configuration, CPU)
    norms = [m for m in model.visual.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        torch.nn.init.normal_(norm.bias, 0, 0.3)
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
    if norms:
        model.visual.train()
        blocks = np.random.default_rng(0).integers(0, 255, (2, 14, 14, 3), dtype=np.uint8)
        picture = np.kron(blocks, np.ones((1, 16, 16, 1), np.uint8))
        encoder = Encoder(lambda: model, configuration, "random", CPU)
        with torch.inference_mode():
            resnet_cells(model.visual, encoder.normalise(picture))
    model.to(device)
    return Encoder(lambda: model, configuration, "random", device, precision, compiled).built()


def released_precision(device: torch.device) -> str:
    """The precision that the released code computes in on this kind of device."""
    return "fp32" if device.type == "cpu" else "fp16"


def precisions(device: torch.device) -> list[str]:
    """The precisions that this device computes fast, the exact one first."""
    if device.type == "cuda":
        return list(card_precisions(device))
    return ["fp32", *(["bf16"] if can_pack("bf16") else [])]


def passes(name: str, device: torch.device, rounds: int) -> list[dict]:
    """Seconds from a frame to its depth map, with its mirror image, against the released loop."""
    frames = open_dataset("sample", "test")
    count, batch = (1, 1) if device.type == "cpu" else (4 * BATCH, BATCH)
    rgb = frames.rgb_batch(range(count))
    released, as_released = seeded_encoder(name, device, "fp32"), released_precision(device)
    visual = released.visual.to(PRECISIONS[as_released])
    text, bins = released.text_vectors(WORDS), torch.tensor(METRES, device=device)

    def loop() -> torch.Tensor:
        depths = [plain.released_depth(picture, visual, text, bins).cpu() for picture in rgb]
        return torch.stack(depths)

    functions, built = {"released": loop}, {}
    ways = (False, True) if has_compiler(device) else (False,)
    for compiled, precision in itertools.product(ways, precisions(device)):
        label = f"ours, {precision}" + (", compiled" if compiled else "")
        encoder = seeded_encoder(name, device, precision, compiled)
        functions[label] = partial(_ours, rgb, encoder, encoder.text_vectors(WORDS))
        start = time.perf_counter()
        functions[label]()
        built[label] = time.perf_counter() - start
    with torch.inference_mode():
        table = compare(functions, device, rounds)
        maps = {label: np.asarray(torch.as_tensor(f()).cpu()) for label, f in functions.items()}
    table[[*SECONDS]] /= count
    work = operations(name) * 2  # image and mirror image
    difference = {label: np.abs(depth - maps["released"]) for label, depth in maps.items()}
    return [
        {
            "pass": label,
            "precision": as_released if label == "released" else label.split(", ")[1],
            "batch": 1 if label == "released" else batch,
            **row,
            "gflops": work / row["seconds"] / 1e9,
            "first_call": built.get(label),
            "difference_mean": float(difference[label].mean()),
            "difference_max": float(difference[label].max()),
        }
        for label, row in table.iterrows()
    ]


def _ours(rgb: np.ndarray, encoder: Encoder, text: torch.Tensor) -> np.ndarray:
    return predict_with_text(rgb, encoder, text, METRES, crop=RELEASED_WINDOW)


def responses(rgb: np.ndarray, encoder: Encoder, head: str, crop: Window) -> torch.Tensor:
    """Similarities with `WORDS` (N, 2, K, h, w) fp32 on the CPU, of one frame after the other."""
    with torch.inference_mode():
        text = encoder.text_vectors(WORDS)
        of_frames = [respond(one[None], encoder, text, [head], crop=crop)[head] for one in rgb]
        return torch.cat(of_frames).cpu()


def operations(name: str) -> float:
    """Multiplications and additions of one view's pass up to the heads, at 416 x 544 pixels."""
    visual = create_model(read_configuration(name), CPU).visual
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        resnet_cells(visual, torch.zeros(1, 3, 64, 64))  # they grow with the area
    return float(counter.get_total_flops()) * math.prod(RELEASED_WINDOW.shape) / 64**2


def roofline(name: str, device: torch.device, rows: Sequence[dict]) -> list[dict]:
    """Each precision's measured matrix peak, and the share of it that each pass reaches."""
    peaks = {precision: matrix_peak(device, precision) for precision in precisions(device)}
    return [
        {
            "pass": row["pass"],
            "precision": row["precision"],
            "gflop_per_image": 2 * operations(name) / 1e9,
            "gflops": row["gflops"],
            "peak_gflops": peaks[row["precision"]] / 1e9,
            "share": row["gflops"] * 1e9 / peaks[row["precision"]],
        }
        for row in rows
    ]


def stages(name: str, device: torch.device, rounds: int) -> list[dict]:
    """Milliseconds per frame of each stage, from disk to metrics."""
    frames = open_dataset("sample", "test", released_preprocessing=True)
    encoder = seeded_encoder(name, device, released_precision(device))
    batch = 1 if device.type == "cpu" else CHUNK
    rgb = frames.rgb_batch(range(batch))
    rows, columns = RELEASED_WINDOW.slices
    truth = frames.ground_truth(0)
    with torch.inference_mode(), temporary_folder() as folder:

        def prepare() -> torch.Tensor:
            return encoder.normalise(np.repeat(rgb[:, rows, columns], 2, axis=0))

        images = prepare()
        features = encoder.features(images)
        vectors = encoder.cell_vectors(features, "released").unflatten(0, (batch, 2))
        text = encoder.text_vectors(WORDS)
        similarities = project(vectors, text)
        one = similarities[:1].cpu()
        array = Store(folder).array({"kind": "benchmark"}, batch)
        kept = vectors.cpu().numpy()
        functions = {
            "read and prepare (JPEG)": lambda: frames.rgb_batch(range(batch)),
            "crop, flip, normalise": prepare,
            "network": lambda: encoder.features(images),
            **{f"{h} head": partial(encoder.cell_vectors, features, h) for h in MAIN_HEADS},
            "similarities": lambda: project(vectors, text),
            "vectors into the store": lambda: array.write(0, kept),
            "vectors from the store": lambda: array.read(0),
            "depth map": lambda: depth_maps(similarities, METRES, RELEASED_WINDOW.shape),
            "six metrics": lambda: sweep([truth], one, {"original": METRES}),
        }
        table = compare(functions, device, rounds)
    frames_of = {stage: 1 if stage == "six metrics" else batch for stage in functions}
    return [
        {"stage": stage} | {f"milli{key}": 1000 * row[key] / frames_of[stage] for key in SECONDS}
        for stage, row in table.iterrows()
    ]


def precision_drift(device: torch.device) -> list[dict]:
    """How far half precision moves depth and metrics on the sample."""
    frames = open_dataset("sample", "test")
    rgb = frames.rgb_batch(range(len(frames)))
    ground_truths = list(frames.ground_truths())
    rows, exact = [], {}
    for precision in precisions(device):
        encoder = load_encoder("sample", device=device, precision=precision)
        for head in MAIN_HEADS:
            maps = predict_depth(rgb, encoder, head=head, crop=frames.crop)
            similarities = responses(rgb, encoder, head, frames.crop)
            means = sweep(ground_truths, similarities, {"original": METRES}).means().iloc[0]
            exact.setdefault(head, (maps, means))
            difference = np.abs(maps - exact[head][0])
            moved = (means - exact[head][1])[list(PUBLISHED_METRICS)].abs()
            rows.append(
                {
                    "precision": precision,
                    "head": head,
                    "difference_mean": float(difference.mean()),
                    "difference_p999": float(np.quantile(difference, 0.999)),
                    "largest_drift": float(moved.max()),
                    "of_metric": moved.idxmax(),
                }
            )
    return rows
