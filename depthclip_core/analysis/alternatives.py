"""The alternatives to the method's choices: settings that differ from the run's in one choice.

Choices before the network (pixels, precision) need a pass of their own. All later ones are answered
from the vectors and similarities that are stored. N frames, K words, h × w cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from depthclip_core.analysis.altered_inputs import Altered, renormalised, scaled_size, through_jpeg
from depthclip_core.analysis.scene_depths import depth_histograms, quantiles
from depthclip_core.analysis.setup import Run
from depthclip_core.clip.encoders import Encoder
from depthclip_core.clip.sentences import mean_over_templates, sentences_of
from depthclip_core.datasets import Dataset, open_dataset
from depthclip_core.encoding.passes import collect_responses, direction_similarities
from depthclip_core.encoding.vectors import sentence_vectors
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.protocols import Protocol
from depthclip_core.evaluation.scoring import fit
from depthclip_core.settings import TEMPLATES as PUBLISHED

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
ENDS = (0.025, 0.975)  # of the depths of the train split, between which bins are spread


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
    """Similarities of the run's head; one pass answers for the other of `Run.both_heads` too."""
    options = {"size": size, "keep": "similarities", "progress": False}
    heads = [each.head for each in run.both_heads.values()]
    return collect_responses(frames, encoder, run.words, heads, **options)[run.head]


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
        direction_similarities(frames, run.encoder, text, run.head).split(len(run.words), dim=2)
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
