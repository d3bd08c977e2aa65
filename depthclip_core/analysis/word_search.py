"""Distance words, searched: which few of hundreds of expressions carry the most depth.

Greedy forward selection on the cells of training frames. Given the words, the best bins are a
linear least-squares problem; but the softmax couples the words, so that the weights of a list are
computed anew for every candidate. The scored frames take no part.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import pandas as pd
from torch import Tensor

from depthclip_core.analysis import statistics
from depthclip_core.analysis.nulls import VOCABULARY, Splits, direction_similarities, gain_share
from depthclip_core.analysis.sampled_pixels import SampledPixels
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.word_responses import cell_depths
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.pixels import checked_similarities
from depthclip_core.method.similarities import logit_factor
from depthclip_core.settings import PROMPTS, PUBLISHED_METRICS, TEMPERATURE

LIMITS = (0.5, 10.0)  # metres, of bins
_file = resources.files("depthclip_core.analysis") / "word_search.toml"
_grammar = tomllib.loads(_file.read_text(encoding="utf-8"))


@dataclass(frozen=True, eq=False)
class Path:
    """A greedy selection: the best list of each size among those that extend the one before.

    chosen: candidates in the order in which they were taken. bins: for each size from 2, metres.
    error: root mean squared error over the training cells for each size, metres.
    """

    chosen: tuple[int, ...]
    bins: tuple[np.ndarray, ...]
    error: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Searched:
    """A search among candidate words, scored for each size of list from 2.

    words: in the order in which they were taken. path: what the search did. train, test: the
    published metrics (S, N, 6) of each size on the frames of either split.
    """

    words: tuple[str, ...]
    path: Path
    train: np.ndarray
    test: np.ndarray

    @property
    def sizes(self) -> range:
        return range(2, len(self.words) + 1)

    def rows(self, size: int) -> pd.DataFrame:
        """A row for each scored frame of the list of that size."""
        if size not in self.sizes:
            raise DepthClipError(f"lists have 2 to {len(self.words)} words, not {size}")
        return pd.DataFrame(self.test[size - 2], columns=list(PUBLISHED_METRICS))


def distance_expressions() -> tuple[str, ...]:
    """Expressions of distance, each once: those of a small grammar and all words of the paper."""
    pairs = (
        (_grammar["adverbs"], _grammar["adjectives"]),
        (_grammar["phrases"], _grammar["lengths"]),
    )
    built = [frame.format(word) for frames, words in pairs for word in words for frame in frames]
    published = [word for words in PROMPTS.values() for word in words]
    return tuple(dict.fromkeys([*built, *_grammar["places"], *published]))


def ordinary_expressions(n: int, seed: int = 0) -> tuple[str, ...]:
    """n random expressions of a colour and a thing, such as "a red chair", all different."""
    colours = [f"an {c}" if c[0] in "aeiou" else f"a {c}" for c in VOCABULARY["colours"]]
    every = [f"{colour} {thing}" for colour in colours for thing in VOCABULARY["things"]]
    if n > len(every):
        raise DepthClipError(f"there are {len(every)} ordinary expressions, not {n}")
    return tuple(every[i] for i in np.random.default_rng(seed).choice(len(every), n, False))


def least_squares_bins(gram: np.ndarray, product: np.ndarray) -> np.ndarray:
    """Bins (K,) of least squared error, each moved into `LIMITS`.

    gram: (K, K), of the bin weights over cells. product: (K,), of weights and depths.
    """
    return np.clip(np.linalg.lstsq(gram, product, rcond=1e-9)[0], *LIMITS)


def forward_selection(
    similarities: Tensor,
    depths: np.ndarray,
    most: int = 10,
    *,
    temperature: float = TEMPERATURE,
    flip: bool = True,
    n_cells: int = 2000,
    seed: int = 0,
) -> Path:
    """The best pair of W candidates, and then, one at a time, the best word to add, up to `most`.

    similarities: (N, V, W, h, w). depths: (N, h, w) of `word_responses.cell_depths`, metres, NaN
    where unknown. n_cells: how many cells, drawn at random, choose the words; the bins of the
    chosen lists are then fitted to all cells. Bins are those of `least_squares_bins`.
    Raises `DepthClipError` for fewer candidates than words, and without a cell of known depth.
    """
    similarities = checked_similarities(similarities)
    n_candidates = similarities.shape[2]
    if not 2 <= most <= n_candidates:
        raise DepthClipError(f"cannot choose {most} of {n_candidates} words: give 2 or more")
    if similarities[:, 0, 0].shape != depths.shape:
        cells = tuple(similarities[:, 0, 0].shape)
        raise DepthClipError(f"similarities at {cells} cells for depths at {depths.shape}")
    known = np.isfinite(depths)
    if not known.any():
        raise DepthClipError("words cannot be chosen: no cell has a known depth")
    logits = _logits(similarities, temperature, flip)[:, known]  # (V, C, W)
    depth = depths[known].astype(np.float64)
    drawn = np.random.default_rng(seed).permutation(len(depth))[:n_cells]
    chosen = _greedy(logits[:, drawn].astype(np.float64), depth[drawn], most)
    fits = [_fit(_softmax(logits[:, :, chosen[:k]]), depth) for k in range(2, most + 1)]
    return Path(tuple(chosen), *(tuple(part) for part in zip(*fits, strict=True)))


def _logits(similarities: Tensor, temperature: float, flip: bool) -> np.ndarray:
    """Logits (V, N, h, w, W) of each view, the mirror image's at the cell that it shows."""
    views = similarities[:, : 1 + flip].cpu().numpy() * np.float32(logit_factor(temperature))
    views = [view if i == 0 else view[..., ::-1] for i, view in enumerate(views.swapaxes(0, 1))]
    return np.stack([view.transpose(0, 2, 3, 1) for view in views])


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Weights (V, C, K) of logits (V, C, K), float64."""
    from scipy.special import softmax  # its parts load when they are used

    return softmax(logits.astype(np.float64), axis=-1)


def _fit(weights: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, float]:
    """Bins, and the error that they leave, of weights (V, C, K) of the views of C cells."""
    mean = weights.mean(0)
    bins = least_squares_bins(mean.T @ mean, mean.T @ depth)
    return bins, float(np.sqrt(np.mean((mean @ bins - depth) ** 2)))


def _greedy(logits: np.ndarray, depth: np.ndarray, most: int) -> list[int]:
    """Indices of the chosen words; logits (V, C, W)."""
    chosen = list(_best_pair(logits, depth))
    total = np.logaddexp(*(logits[:, :, word] for word in chosen))  # of the softmax, (V, C)
    weights = np.exp(logits[:, :, chosen] - total[:, :, None])
    while len(chosen) < most:
        errors = np.full(logits.shape[2], np.inf)
        for word in set(range(logits.shape[2])) - set(chosen):
            errors[word] = _fit(_extended(weights, total, logits[:, :, word]), depth)[1]
        word = int(errors.argmin())
        weights = _extended(weights, total, logits[:, :, word])
        total = np.logaddexp(total, logits[:, :, word])
        chosen.append(word)
    return chosen


def _extended(weights: np.ndarray, total: np.ndarray, logit: np.ndarray) -> np.ndarray:
    """Weights (V, C, K + 1) of a list to which a word is added.

    weights: (V, C, K) of the list, and total (V, C), the logarithm of its softmax's denominator.
    logit: (V, C) of the word. It takes its weight from the others in proportion to theirs.
    """
    new = _sigmoid(logit - total)[:, :, None]
    return np.concatenate([weights * (1 - new), new], axis=2)


def _best_pair(logits: np.ndarray, depth: np.ndarray) -> tuple[int, int]:
    """The two words that leave the least error; logits (V, C, W).

    Their weights, w and 1 − w, add to one, so that the best depth is a line in w.
    """
    best, pair, level = np.inf, (0, 1), depth.mean()
    for first in range(logits.shape[2] - 1):
        others = logits[:, :, first + 1 :].astype(np.float32)
        w = _sigmoid(others - logits[:, :, first, None].astype(np.float32)).mean(0)
        w = w.astype(np.float64)
        mean, square, product = w.mean(0), np.square(w).mean(0), depth @ w / len(depth)
        spread = square - mean**2
        slope = (product - mean * level) / np.where(spread > 1e-12, spread, np.inf)
        near = np.clip(level - slope * mean, *LIMITS)  # the bin of the first word
        far = np.clip(level + slope * (1 - mean), *LIMITS)
        # The mean square of near · (1 − w) + far · w − depth, without that of depth.
        step = far - near
        left = near**2 + 2 * near * step * mean + step**2 * square
        left -= 2 * near * level + 2 * step * product
        if (least := left.min()) < best:
            best, pair = least, (first, first + 1 + int(left.argmin()))
    return pair


def _sigmoid(x: np.ndarray) -> np.ndarray:
    from scipy.special import expit  # its parts load when they are used

    return expit(x)


def train_cells(run: Run) -> np.ndarray:
    """True depth of the cells of a run's train split, (N, h, w), metres, NaN where unknown."""
    return cell_depths(run.train.ground_truths(), run.grid, run.protocol)


def search_words(
    run: Run,
    splits: Splits,
    depths: np.ndarray,
    candidates: Sequence[str],
    most: int = 10,
    seed: int = 0,
) -> Searched:
    """Search among candidates on the train split, and score the list of each size on both splits.

    depths: of `train_cells`. seed: of the cells that choose.
    """
    text = run.text_vectors(candidates)
    parts = [
        direction_similarities(frames, run.encoder, text, run.head)
        for frames in (run.train, run.frames)
    ]
    options = {"temperature": splits.temperature, "flip": splits.flip, "seed": seed}
    path = forward_selection(parts[0], depths, most, **options)
    words = tuple(candidates[i] for i in path.chosen)
    scores = [
        np.array([_scored(splits, side, part, path, k) for k in range(2, most + 1)])
        for side, part in zip((splits.train, splits.test), parts, strict=True)
    ]
    return Searched(words, path, *scores)


def _scored(
    splits: Splits, pixels: SampledPixels, similarities: Tensor, path: Path, size: int
) -> np.ndarray:
    """The published metrics (N, 6) of the list of a size, from similarities with all candidates."""
    weights = splits.weights(similarities[:, :, list(path.chosen[:size])])
    return pixels.scores(np.einsum("nkhw,k->nhw", weights, path.bins[size - 2]))


def given_list(run: Run, splits: Splits, depths: np.ndarray) -> tuple[np.ndarray, pd.DataFrame]:
    """The run's own words with bins fitted as in the search: the bins, and rows of test scores."""
    learn, test = (run.similarities(frames=frames) for frames in (run.train, run.frames))
    known = np.isfinite(depths)
    if not known.any():
        raise DepthClipError("bins cannot be fitted: no cell has a known depth")
    weights = splits.weights(learn).transpose(0, 2, 3, 1)[known].astype(np.float64)
    bins = least_squares_bins(weights.T @ weights, weights.T @ depths[known])
    depth = np.einsum("nkhw,k->nhw", splits.weights(test), bins)
    return bins, pd.DataFrame(splits.test.scores(depth), columns=list(PUBLISHED_METRICS))


def curves(found: Searched, nulls: Sequence[Searched], metric: str) -> pd.DataFrame:
    """A metric's mean over frames against the number of words, a row per size.

    Columns: train and test of the search, and of the searches among ordinary words, the null, the
    mean of train and the mean, lowest and highest of test.
    """
    place = PUBLISHED_METRICS.index(metric)

    def mean(scores: np.ndarray) -> np.ndarray:
        return np.nanmean(scores[:, :, place], axis=1)

    tests = np.array([mean(null.test) for null in nulls])
    columns = {"train": mean(found.train), "test": mean(found.test)}
    columns["null train"] = np.mean([mean(null.train) for null in nulls], axis=0)
    columns |= {"null test": tests.mean(0), "lowest": tests.min(0), "highest": tests.max(0)}
    return pd.DataFrame(columns, pd.Index(found.sizes, name="words"))


def differences(
    found: Searched,
    own: pd.DataFrame,
    nulls: Sequence[Searched],
    size: int,
    groups: Sequence,
    seed: int = 0,
) -> pd.DataFrame:
    """The searched list of a size minus others on the same frames: `statistics.compare`.

    Against own, the rows of `given_list`, and the mean of the searches among ordinary words.
    """
    null = sum(each.rows(size) for each in nulls) / len(nulls)
    others = {"the run's words": own, "searched ordinary words": null}
    rows = found.rows(size)
    tables = {name: statistics.compare(rows, each, groups, seed) for name, each in others.items()}
    return pd.concat(tables, names=["against", "metric"])


def null_share(
    found: Searched,
    nulls: Sequence[Searched],
    blind: np.ndarray,
    size: int,
    groups: Sequence,
    metric: str,
    seed: int = 0,
) -> pd.Series:
    """Share of the searched list's gain over the best constant that searched ordinary words reach.

    blind: (N, 6) of `nulls.blind_scores`. See `nulls.gain_share`.
    """
    place = PUBLISHED_METRICS.index(metric)
    null = np.array([each.rows(size)[metric] for each in nulls])
    own = found.rows(size)[metric].to_numpy()
    return gain_share(null, own, blind[:, place], groups, metric, seed=seed)
