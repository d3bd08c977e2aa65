"""Distance words, searched: which few of hundreds of expressions carry the most depth.

The search is that of `forward_selection`, on training frames. The scored frames take no part.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import pandas as pd
from torch import Tensor

from depthclip_core.analysis import statistics
from depthclip_core.analysis.forward_selection import Path, forward_selection, least_squares_bins
from depthclip_core.analysis.nulls import VOCABULARY
from depthclip_core.analysis.sampled_pixels import SampledPixels, Splits
from depthclip_core.analysis.setup import Run
from depthclip_core.analysis.word_responses import cell_depths
from depthclip_core.encoding.passes import direction_similarities
from depthclip_core.errors import DepthClipError
from depthclip_core.settings import PROMPTS, PUBLISHED_METRICS

_file = resources.files("depthclip_core.analysis") / "word_search.toml"
_grammar = tomllib.loads(_file.read_text(encoding="utf-8"))


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


@dataclass(frozen=True, eq=False)
class Study:
    """What one head's searches found.

    found: among the candidates. nulls: among other pools. own: rows of `given_list`. groups: of
    the scored frames.
    """

    found: Searched
    nulls: tuple[Searched, ...]
    own: pd.DataFrame
    groups: Sequence

    def differences(self, size: int, seed: int = 0) -> pd.DataFrame:
        """The searched list of a size minus others on the same frames: `statistics.compare`.

        Against the run's own words, and the mean of the searches among the other pools.
        """
        null = sum(each.rows(size) for each in self.nulls) / len(self.nulls)
        others = {"the run's words": self.own, "searched ordinary words": null}
        rows = self.found.rows(size)
        tables = {n: statistics.compare(rows, o, self.groups, seed) for n, o in others.items()}
        return pd.concat(tables, names=["against", "metric"])


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


def study(
    run: Run,
    splits: Splits,
    depths: np.ndarray,
    candidates: Sequence[str],
    pools: Sequence[Sequence[str]],
    most: int = 10,
    seed: int = 0,
) -> Study:
    """Search among candidates and in the same way among each pool; see `search_words`."""
    lists = [candidates, *pools]
    found, *nulls = (search_words(run, splits, depths, words, most, seed) for words in lists)
    return Study(found, tuple(nulls), given_list(run, splits, depths)[1], run.frames.groups)


def against(
    studies: Mapping[str, Study], other: str, size: int, metric: str, seed: int = 0
) -> pd.DataFrame:
    """One row of `Study.differences` for each head: against `other`, in a metric."""
    rows = {n: each.differences(size, seed).loc[(other, metric)] for n, each in studies.items()}
    return pd.DataFrame(rows).T


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
