"""How far a score moves when one choice of the method changes and all else stays.

Choices before the network (pixels, precision) need a pass of their own. All later ones are answered
from the vectors and similarities that are stored. N frames, K words, h × w cells.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from io import BytesIO

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from depthclip_core.analysis.scene_depths import depth_histograms, quantiles
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.statistics import holm, intervals, sign_flip_test, verdicts
from depthclip_core.clip.encoders import (
    Encoder,
    mean_over_templates,
    sentences_of,
)
from depthclip_core.datasets import Dataset, Frame, open_dataset
from depthclip_core.datasets.base import Checksums
from depthclip_core.encoding.passes import EncodingJob, collect_responses, encode
from depthclip_core.encoding.vectors import sentence_vectors, store_for
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.metrics import evaluate, resolve_metric
from depthclip_core.evaluation.pixels import cell_weights
from depthclip_core.evaluation.protocols import Protocol
from depthclip_core.evaluation.scoring import fit
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.method.depth import weighted_depth
from depthclip_core.method.pipeline import project
from depthclip_core.settings import TEMPLATES as PUBLISHED

# What OpenAI trained CLIP with (its `clip.py`); the released code uses ImageNet's.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
QUALITIES = (95, 75)  # of JPEG: OpenCV's default, which the released preparation uses; Pillow's
SCALES = (0.75, 1.5)
TEMPLATES = {
    "the word alone": ("{distance}",),
    "a photo that is …": ("a photo that is {distance}",),
    "This object appears to be …": ("This {object} appears to be {distance}",),
}
NUMBERS = (3, 14, 28)  # of words, beside those of the run
TEMPERATURES = (0.1, 1.0, 10.0)  # released, CLIP's own scale, nearly equal weights
PRECISIONS = {"fp16": torch.float16, "bf16": torch.bfloat16}
THREADS = 2  # settings that are scored at once; compiled sums run in parallel
ENDS = (0.025, 0.975)  # of the depths of the train split, between which bins are spread
KINDS = ("given", "fitted")


@dataclass(frozen=True, eq=False)
class Setting:
    """What a choice may change between the cells' similarities and the score.

    similarities: (N, 2, K, h, w) of the scored frames; train: the same of the train split. bins: K
    metres. align_corners: of the upsampling. refits: whether bins may also be fitted in this
    setting; not where the choice is the bins themselves.
    """

    similarities: Tensor
    train: Tensor
    bins: tuple[float, ...]
    temperature: float
    protocol: Protocol
    align_corners: bool = True
    refits: bool = True


Settings = dict[tuple[str, str], Setting]  # by (choice, alternative)


def default_setting(run: Run) -> Setting:
    """The setting of the run itself, from which each alternative differs in one choice."""
    similarities, train = run.similarities(), run.similarities(frames=run.train)
    return Setting(similarities, train, run.bins, run.temperature, run.protocol)


# --- choices before the network -----------------------------------------------------------------


class Altered(Dataset):
    """A data set whose photographs are changed one by one; depths, crop and names stay.

    name: says what `change` does, uint8 (H, W, 3) → the same; the store knows the change by it.
    """

    def __init__(self, whole: Dataset, name: str, change: Callable[[np.ndarray], np.ndarray]):
        self.whole, self.name, self.change = whole, name, change
        for fact in Dataset.__annotations__:
            setattr(self, fact, getattr(whole, fact))
        self.title = f"{whole.title}, {name}"

    def __len__(self) -> int:
        return len(self.whole)

    def read_frame(self, index: int) -> Frame:
        frame = self.whole[index]
        return replace(frame, rgb=self.change(frame.rgb))

    def read_rgb(self, index: int) -> np.ndarray:
        return self.change(self.whole.rgb(index))

    def read_raw_depth(self, index: int) -> np.ndarray | None:
        return self.whole.raw_depth(index)

    def ground_truth(self, position: int) -> np.ndarray:
        return self.whole.ground_truth(position)

    def each(self, fact: str) -> list:
        return self.whole.each(fact)

    def identity(self, checksums: Checksums) -> dict:
        return {"whole": self.whole.identity(checksums), "change": self.name}


@dataclass(eq=False, repr=False)
class Renormalised(Encoder):
    """An encoder that normalises pixels with other constants than the released ones."""

    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD

    def __post_init__(self):
        super().__post_init__()
        self._mean, self._std = (torch.tensor(v, device=self.device) for v in (self.mean, self.std))

    @property
    def arithmetic(self) -> dict:
        return super().arithmetic | {"mean": self.mean, "std": self.std}


def renormalised(
    encoder: Encoder, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD
) -> Renormalised:
    """The same network, with pixels normalised to another mean and standard deviation of RGB.

    mean, std: of each channel, as shares of 255; by default those of OpenAI's CLIP.
    """
    if len(mean) != 3 or len(std) != 3 or not min(std) > 0:
        wanted = "a mean and a positive standard deviation for each of three channels"
        raise DepthClipError(f"pixels are normalised with {wanted}, got {mean} and {std}")
    own = {field.name: getattr(encoder, field.name) for field in fields(Encoder)}
    own["build"] = lambda: encoder.model  # the network is there already, or will be needed anyway
    return Renormalised(**own, mean=tuple(mean), std=tuple(std))


def through_jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    """A photograph (H, W, 3), uint8, as JPEG of a quality (1 to 95) returns it; colour halved."""
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return np.array(Image.open(buffer))


def scaled_size(shape: tuple[int, int], scale: float, stride: int) -> tuple[int, int]:
    """A window's rows and columns times a scale, rounded to whole cells of stride pixels."""
    rows, columns = (max(1, round(side * scale / stride)) * stride for side in shape)
    return rows, columns


def encoded_choices(run: Run, split: str, *, bf16: bool = False) -> Settings:
    """Alternatives that change what goes into the network, or its arithmetic: a pass each.

    split: of the run's frames. bf16: whether to run the network in bf16 too; it is slow on a
    processor without bf16 instructions, and its rounding differs from processor to processor.
    Passes are kept in the store.
    """
    base, data = default_setting(run), {split: run.frames, "train": run.train}
    # Each alternative: the encoder, the frames by split, and the size of the network's input.
    passes: dict[tuple[str, str], tuple[Encoder, Mapping[str, Dataset], tuple | None]] = {}
    passes["normalisation", "CLIP's own"] = (renormalised(run.encoder), data, None)
    passes |= {("input", name): (run.encoder, d, None) for name, d in _inputs(run, data).items()}
    for precision in ("fp32", "bf16") if bf16 else ("fp32",):
        if precision != run.encoder.precision:
            other = replace(run.encoder, precision=precision, build=lambda: run.encoder.model)
            passes["precision", f"network in {precision}"] = (other, data, None)
    window = run.frames[0].window.shape
    for scale in SCALES:
        size = scaled_size(window, scale, run.encoder.stride)
        passes["input scale", f"{scale:g} ×"] = (run.encoder, data, size)
    found = {}
    for name, (encoder, frames, size) in passes.items():
        both = {of: _passed(run, encoder, some, size) for of, some in frames.items()}
        found[name] = replace(base, similarities=both[split], train=both["train"])
    return found


def _inputs(run: Run, data: Mapping[str, Dataset]) -> dict[str, dict[str, Dataset]]:
    """The same frames without loss, and as JPEG; without the input that the run has already."""
    opened = {"data": run.data, "released_preprocessing": False}
    lossless = {split: open_dataset(run.dataset, split, **opened) for split in data}
    found = {
        f"JPEG, quality {quality}": {
            split: Altered(frames, f"JPEG {quality}", lambda rgb, q=quality: through_jpeg(rgb, q))
            for split, frames in lossless.items()
        }
        for quality in QUALITIES
    }
    if run.frames.published_preprocessing:  # which is JPEG of the first of the qualities
        del found[f"JPEG, quality {QUALITIES[0]}"]
        found["lossless"] = lossless
    return found


def _passed(run: Run, encoder: Encoder, frames: Dataset, size: tuple[int, int] | None) -> Tensor:
    options = {"size": size, "keep": "similarities", "progress": False}
    return collect_responses(frames, encoder, run.words, [run.head], **options)[run.head]


# --- choices after the network ------------------------------------------------------------------


def stored_choices(run: Run) -> Settings:
    """Alternatives that need no further pass, from the template to the upsampling."""
    base, k = default_setting(run), len(run.words)
    found = {("template", name): s for name, s in template_settings(run, base).items()}
    for number in (n for n in NUMBERS if n != k and k > 1):
        found["words and bins", f"{number}"] = with_words_between(run, base, number)
    for temperature in (t for t in TEMPERATURES if t != run.temperature):
        found["temperature", f"{temperature:g}"] = replace(base, temperature=temperature)
    for name, dtype in PRECISIONS.items():
        both = [values.to(dtype).float() for values in (base.similarities, base.train)]
        rounded = replace(base, similarities=both[0], train=both[1])
        found["precision", f"similarities in {name}"] = rounded
    depths = depth_shares(run)
    for spacing, bins in spaced_bins(depths, k).items():
        found["bins", f"{spacing} steps"] = replace(base, bins=bins, refits=False)
    fitted = fit(run.train, base.train, temperature=base.temperature, protocol=base.protocol)
    found["bins", "fitted on train"] = replace(base, bins=fitted, refits=False)
    flip = not run.protocol.flip
    protocol = replace(run.protocol, flip=flip)
    found["flip", "on" if flip else "off"] = replace(base, protocol=protocol)
    found["align_corners", "False"] = replace(base, align_corners=False)
    return found


def template_settings(run: Run, base: Setting) -> dict[str, Setting]:
    """Other sentences for the same words, and the mean of all of them as CLIP averages templates.

    The mean includes the published template.
    """
    every = (*PUBLISHED, *(t for (t,) in TEMPLATES.values()))
    groups = TEMPLATES | {f"mean of {len(every)} templates": every}
    text = torch.cat([template_vectors(run, templates) for templates in groups.values()])
    both = [
        similarities_with(run, frames, text).split(len(run.words), dim=2)
        for frames in (run.frames, run.train)
    ]
    return {
        name: replace(base, similarities=own, train=train)
        for name, own, train in zip(groups, *both, strict=True)
    }


def template_vectors(run: Run, templates: Sequence[str]) -> Tensor:
    """The run's K words in other templates, from the store: (K, D), see `Encoder.text_vectors`."""
    sentences = sentences_of(run.words, templates)
    return mean_over_templates(sentence_vectors(run.encoder, sentences), run.words)


def similarities_with(run: Run, frames: Dataset, text: Tensor) -> Tensor:
    """Similarities (N, 2, T, h, w) of the run's head with any text vectors (T, D).

    The cells' vectors are taken from the store; missing ones are computed first.
    """
    with store_for(run.encoder, None) as store:
        encode(frames, run.encoder, [run.head], store=store, progress=False)
        array = EncodingJob(frames, run.encoder, None, store).vectors(run.head)
        chunks = (torch.from_numpy(array.read(chunk)) for chunk in range(array.n_chunks))
        return torch.cat([project(c.to(text.device), text).cpu() for c in chunks])


def steps_between(k: int, number: int) -> np.ndarray:
    """A matrix (number, k) that goes in even steps from the first of k things to the last.

    Each row mixes two neighbours. `DepthClipError` for fewer than two things or steps.
    """
    if min(k, number) < 2:
        raise DepthClipError(f"cannot make {number} steps between {k} words: two are the least")
    place = np.linspace(0, k - 1, number)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(k)))


def similarities_between(similarities: Tensor, text: Tensor, number: int) -> Tensor:
    """Similarities (N, V, number, h, w) with unit vectors in even steps between K words' vectors.

    similarities: (N, V, K, h, w) with the text vectors (K, D). A similarity is linear in the text
    vector, so that those with a mixture of two words are mixed from theirs, and divided by its
    length: nothing is encoded.
    """
    mix = torch.from_numpy(steps_between(len(text), number))
    lengths = (mix @ text.cpu().double()).norm(dim=1, keepdim=True)
    mixed = torch.einsum("nvkhw,mk->nvmhw", similarities.double(), mix / lengths)
    return mixed.float()


def with_words_between(run: Run, base: Setting, number: int) -> Setting:
    """A setting with another number of words and bins, in even steps along the run's lists."""
    text = run.text_vectors(run.words)
    both = [similarities_between(s, text, number) for s in (base.similarities, base.train)]
    bins = tuple(map(float, steps_between(len(base.bins), number) @ np.array(base.bins)))
    return replace(base, similarities=both[0], train=both[1], bins=bins)


def depth_shares(run: Run) -> pd.Series:
    """How the train split's depth is distributed, a mean over its images: shares by metres."""
    shares = depth_histograms(run.train.ground_truths(), run.protocol).dropna()
    if shares.empty:
        raise DepthClipError("no distribution of depth: no train frame has a valid pixel")
    return shares.mean()


def spaced_bins(shares: pd.Series, number: int) -> dict[str, tuple[float, ...]]:
    """Bins in even and logarithmic steps, and at even quantiles, of a distribution of depth.

    shares: by metres, as from `depth_shares`. All run from its quantile ENDS[0] to ENDS[1], metres.
    """
    levels = np.linspace(*ENDS, number)
    at = quantiles(shares.to_frame().T, levels).to_numpy()[0]
    spaced = {"even": np.linspace, "log": np.geomspace}
    found = {name: space(at[0], at[-1], number) for name, space in spaced.items()}
    return {name: tuple(map(float, bins)) for name, bins in (found | {"quantile": at}).items()}


# --- scores -------------------------------------------------------------------------------------


def scored(run: Run, setting: Setting, metric: str) -> pd.DataFrame:
    """A metric of each frame with the given bins and with bins fitted in the same setting.

    Columns "given" and, if the setting refits, "fitted": medians on the train split, as from
    `scoring.fit`. A row per frame, NaN where it has no valid pixel.
    """
    resolve_metric(metric)
    how = {"temperature": setting.temperature, "protocol": setting.protocol}
    bins = {"given": setting.bins}
    if setting.refits:
        bins["fitted"] = fit(run.train, setting.train, **how)
    if not setting.align_corners:
        return pd.DataFrame({kind: _unaligned(run, setting, b, metric) for kind, b in bins.items()})
    settings = ([setting.temperature], [setting.protocol])
    truths = run.frames.ground_truths()
    found = sweep(truths, setting.similarities, bins, *settings, metrics=[metric])
    return pd.DataFrame({kind: found.rows(bins=kind)[metric] for kind in bins})


def all_scored(run: Run, settings: Mapping, metric: str) -> dict:
    """`scored` for each setting by its name, a few at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        rows = pool.map(lambda setting: scored(run, setting, metric), settings.values())
        return dict(zip(settings, rows, strict=True))


def _unaligned(run: Run, setting: Setting, bins: Sequence[float], metric: str) -> list[float]:
    """A metric of each frame, upsampled with align_corners=False, which the sweep does not do."""
    protocol, scores = setting.protocol, []
    weights = cell_weights(setting.similarities, setting.temperature, protocol.flip)
    cells = weighted_depth(torch.from_numpy(weights), bins)[:, None]
    for own, truth in zip(cells, run.frames.ground_truths(), strict=True):
        depth = F.interpolate(own[None], protocol.window.shape, mode="bilinear")[0]
        scores.append(evaluate(depth.numpy(), truth[None], protocol)[metric].iloc[0])
    return scores


def tornado(run: Run, settings: Settings, metric: str, seed: int = 0) -> pd.DataFrame:
    """What each alternative changes: its metric minus the default's on the same images.

    Rows: (bins, choice, alternative), bins given or fitted. Columns: mean, the metric itself;
    change, low and high, with a 95 % interval over groups of images; p of a sign-flip test,
    corrected by Holm's method for the alternatives of the same bins; verdict, as
    `statistics.compare`. Fitted bins are fitted again in each setting, and compared with the
    default's fitted bins.
    """
    rows = all_scored(run, settings | {"default": default_setting(run)}, metric)
    reference, groups, tables = rows.pop("default"), run.frames.groups, {}
    for kind in KINDS:
        own = pd.DataFrame({name: table[kind] for name, table in rows.items() if kind in table})
        changes = own.sub(reference[kind], axis=0)
        table = intervals(changes, groups, seed=seed).rename(columns={"mean": "change"})
        p = holm(pd.Series({n: sign_flip_test(changes[n], groups, seed=seed) for n in changes}))
        table = table.assign(p=p, verdict=verdicts(table, [resolve_metric(metric).sign] * len(p)))
        table.insert(0, "mean", own.mean())
        tables[kind] = table[["mean", "change", "low", "high", "p", "verdict"]]
    return pd.concat(tables, names=["bins", "choice", "alternative"])


def temperature_curve(
    run: Run, temperatures: Sequence[float], metric: str, seed: int = 0
) -> pd.DataFrame:
    """A metric at each temperature, with the run's bins and with bins fitted at each temperature.

    Rows: (bins, temperature). Columns: mean, low and high, as from `statistics.intervals`.
    """
    base = default_setting(run)
    settings = {t: replace(base, temperature=t) for t in temperatures}
    return _curves(run, all_scored(run, settings, metric), ["bins", "temperature"], seed)


def number_curve(run: Run, numbers: Sequence[int], metric: str, seed: int = 0) -> pd.DataFrame:
    """A metric for each number of words, with bins that are given, spaced or fitted.

    Words are in even steps along the run's list, see `similarities_between`; given bins likewise.
    Rows: (bins, words), bins "given", "even", "log", "quantile" (`spaced_bins`) and "fitted".
    Columns: mean, low and high, as from `statistics.intervals`.
    """
    base, shares = default_setting(run), depth_shares(run)
    settings = {n: with_words_between(run, base, n) for n in numbers}
    rows = all_scored(run, settings, metric)
    for number, setting in settings.items():
        how = ([setting.temperature], [setting.protocol])
        bins, truths = spaced_bins(shares, number), run.frames.ground_truths()
        found = sweep(truths, setting.similarities, bins, *how, metrics=[metric], threads=THREADS)
        spaced = {kind: found.rows(bins=kind)[metric] for kind in bins}
        rows[number] = rows[number].assign(**spaced)
    return _curves(run, rows, ["bins", "words"], seed)


def _curves(
    run: Run, rows: Mapping[float, pd.DataFrame], names: Sequence[str], seed: int
) -> pd.DataFrame:
    """Intervals of each column of the tables (N frames each), by column and the tables' keys."""
    joined = pd.concat(rows, axis=1).swaplevel(axis=1)
    kinds = list(dict.fromkeys(joined.columns.get_level_values(0)))
    table = intervals(joined, run.frames.groups, seed=seed)[["mean", "low", "high"]]
    return table.loc[kinds].rename_axis(names)


def largest_change(table: pd.DataFrame, bins: str) -> str:
    """In words the alternative that changes most with these bins, "given" or "fitted".

    table: as from `tornado`.
    """
    own = table.xs(bins).dropna(subset="change")
    if own.empty:
        return f"unknown with {bins} bins"
    name = own["change"].abs().idxmax()
    row = own.loc[name]
    interval = f"[{row['low']:+.3f}, {row['high']:+.3f}]".replace("-", "−")
    change = f"{row['change']:+.3f}".replace("-", "−")
    return f"{change} {interval} with {bins} bins ({name[0]}: {name[1]})"


# --- what is known of each choice ---------------------------------------------------------------


def choices_table() -> pd.DataFrame:
    """Each choice: what it is, what the released code chose, and where that is stated.

    "tables": the paper's tables and its authors' slides print it. "code": only the code does.
    """
    rows = {
        "normalisation": ("mean and standard deviation of RGB", "ImageNet's, not CLIP's", "code"),
        "input": ("how photographs are stored before the pass", "JPEG, quality 95", "code"),
        "precision": ("arithmetic of the image encoder", "fp16 on a GPU", "code"),
        "input scale": ("size of the network's input", "416 × 544 pixels, 1 ×", "code"),
        "template": ("the sentence around a word", "This object is …", "code"),
        "words and bins": ("how many words, and so bins", "7", "tables"),
        "temperature": ("divides 100 · similarity before the softmax", "0.1", "code"),
        "bins": ("the depth of each word", "1 to 3 m", "tables"),
        "flip": ("mean with the mirror image's depth", "on", "code"),
        "align_corners": ("how cells are upsampled to pixels", "True", "code"),
    }
    columns = ["what it is", "released", "stated in"]
    return pd.DataFrame(rows, columns).T.rename_axis("choice")
