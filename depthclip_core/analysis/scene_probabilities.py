"""Scene types with probabilities: CLIP's similarities, softened so that they may be believed.

B images, S scene types.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy  # its parts load when they are used

from depthclip_core.analysis.scene_classifier import classify_scenes
from depthclip_core.analysis.statistics import DRAWS, FEWEST_GROUPS, LEVEL, redraws
from depthclip_core.clip.encoders import Encoder
from depthclip_core.datasets.base import Frame
from depthclip_core.encoding.store import Store
from depthclip_core.encoding.vectors import image_vectors, sentence_vectors
from depthclip_core.errors import DepthClipError
from depthclip_core.settings import LOGIT_SCALE

TEMPLATES = (
    "a photo of a {scene}",
    "a picture of a {scene}",
    "an indoor photo of a {scene}",
    "this is a {scene}",
    "a {scene}",
)
CLIP_TEMPERATURE = 1 / LOGIT_SCALE
SOFTEST, SHARPEST = 1.0, 1e-4  # temperatures between which the best is looked for
LEVELS = 10  # intervals of confidence in a calibration error


def ensemble_similarities(
    frames: Sequence[Frame],
    encoder: Encoder,
    scenes: Sequence[str],
    templates: Sequence[str] = TEMPLATES,
    store: Store | None = None,
) -> np.ndarray:
    """Cosine similarity (B, S) of images with scene types, whose sentences are averaged.

    A scene type's vector is the normalised mean of its T sentences' vectors, as CLIP's authors
    ensemble prompts. With one template this is `classify_scenes`, and so are its errors.
    """
    if not len(templates):
        raise DepthClipError("give one template or more, such as 'a photo of a {scene}'")
    if len(templates) == 1:
        return classify_scenes(frames, encoder, scenes, templates[0], store)
    names = [scene.replace("_", " ") for scene in scenes]
    sentences = [template.format(scene=name) for name in names for template in templates]
    vectors = sentence_vectors(encoder, sentences, store).unflatten(0, (len(names), -1)).mean(1)
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    scores = (image_vectors(frames, encoder, store) @ vectors.T).cpu().numpy()
    if not np.isfinite(scores).all():
        raise DepthClipError("the encoder's image or text vectors are not finite")
    return scores


def right_answers(
    frames: Sequence[Frame],
    encoder: Encoder,
    scenes: Sequence[str],
    truth: np.ndarray,
    templates: Sequence[str] = TEMPLATES,
    store: Store | None = None,
) -> pd.DataFrame:
    """Whether the most similar scene type is the true one, (B, T + 1), by each template and by all.

    truth: (B,), positions of the true types among the S; other arguments as above.
    """
    ways = {template: [template] for template in templates} | {"all together": templates}
    said = {n: ensemble_similarities(frames, encoder, scenes, w, store) for n, w in ways.items()}
    return pd.DataFrame({name: scores.argmax(axis=1) == truth for name, scores in said.items()})


def probabilities(similarities: np.ndarray, temperature: float = CLIP_TEMPERATURE) -> np.ndarray:
    """Softmax (B, S) of similarities (B, S) divided by a temperature."""
    return scipy.special.softmax(np.asarray(similarities, dtype=np.float64) / temperature, axis=1)


def log_losses(
    similarities: np.ndarray, truth: np.ndarray, temperature: float = CLIP_TEMPERATURE
) -> np.ndarray:
    """−ln of the probability of the true scene type (B,); NaN where truth is −1, "none of these".

    truth: (B,), positions of the true scene types among the S.
    """
    logits = np.asarray(similarities, dtype=np.float64) / temperature
    rest = scipy.special.log_softmax(logits, axis=1)
    return np.where(truth >= 0, -rest[np.arange(len(rest)), truth], np.nan)


def fit_temperature(similarities: np.ndarray, truth: np.ndarray) -> float:
    """The temperature of the largest likelihood of the true scene types (Guo et al. 2017).

    Arguments as in `log_losses`; images whose type is none of the S are left out. Between SHARPEST
    and SOFTEST; `DepthClipError` if no image is left.
    """
    known = np.asarray(truth) >= 0
    if not known.any():
        raise DepthClipError("a temperature cannot be fitted: no image has one of the scene types")
    some, right = np.asarray(similarities)[known], np.asarray(truth)[known]
    found = scipy.optimize.minimize_scalar(
        lambda log: log_losses(some, right, np.exp(log)).mean(),
        bounds=(np.log(SHARPEST), np.log(SOFTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def reliability(confidences: pd.DataFrame, right: np.ndarray) -> pd.DataFrame:
    """Confidence and share of right answers in each tenth of confidence that has images.

    Arguments as in `calibration_errors`. Rows (way, level); columns confidence, right, images.
    """
    found = {}
    for way, values in confidences.items():
        rows = pd.DataFrame({"confidence": values.to_numpy(), "right": np.asarray(right, float)})
        by_level = rows.groupby(_levels(values.to_numpy()))
        found[way] = by_level.mean().assign(images=by_level.size())
    return pd.concat(found, names=["temperature", "level"])


def calibration_errors(
    confidences: pd.DataFrame, right: np.ndarray, groups: Sequence, seed: int = 0
) -> pd.DataFrame:
    """Expected calibration error of several confidences in one answer, and of their differences.

    confidences: (B, C), the probability of the answer by each of C ways. right: (B,) whether the
    answer is true. The error is the mean over images of |confidence − share of right answers|, both
    averaged over the images in each tenth of confidence. Rows: the C ways, and each further one
    minus the first. Columns: mean, low and high: 95 % percentiles of draws of groups, NaN for fewer
    than FEWEST_GROUPS. With few images the error of perfect confidences is not 0 either.
    """
    values, right = confidences.to_numpy(dtype=float), np.asarray(right, dtype=float)
    once = np.ones((1, len(values)))
    times = redraws(groups, DRAWS, seed)
    point, drawn = ({} for _ in range(2))
    for name, column in zip(confidences.columns, values.T, strict=True):
        share = np.eye(LEVELS)[_levels(column)] * (column - right)[:, None]  # (B, LEVELS)
        for weights, found in ((once, point), (times, drawn)):
            found[name] = np.abs(weights @ share).sum(axis=1) / weights.sum(axis=1)
    first, *others = confidences.columns
    for found in (point, drawn):
        found |= {f"{name} − {first}": found[name] - found[first] for name in others}
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    enough = len(set(map(str, groups))) >= FEWEST_GROUPS
    bounds = {n: np.quantile(d, ends) if enough else [np.nan] * 2 for n, d in drawn.items()}
    rows = {name: [float(point[name][0]), *bounds[name]] for name in point}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high"])


def _levels(confidences: np.ndarray) -> np.ndarray:
    """The tenth of each confidence, 0 to 9."""
    return np.clip((confidences * LEVELS).astype(int), 0, LEVELS - 1)
