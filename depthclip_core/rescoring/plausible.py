"""Whether saved maps look like depth in metres of these frames: a glance at some of them."""

from dataclasses import replace

import numpy as np

from depthclip_core.datasets import Dataset
from depthclip_core.evaluation.compositions import Composition
from depthclip_core.evaluation.map_files import MapFiles
from depthclip_core.rescoring.frames import UnderCompositions

LOOKED_AT = 6  # frames, spread over the data set
FEWEST = 100  # pixels of a frame that is looked at
OPPOSED = -0.5  # correlation of log depths below which maps look inverse
SCALES = (0.4, 2.5)  # maps to truth, within which no unit is wrong


def fit_notes(frames: Dataset, maps: MapFiles, protocol: Composition) -> list[str]:
    """One line if the maps look inverse, or in another unit than the truth; none if they fit.

    protocol: where maps lie and which pixels count. Bad systems and arbitrary scales look alike,
    so that this is worth a note and no error.
    """
    one = replace(protocol, valid="between", align="none", flip="as saved", truth="raw")
    ratios, correlations = [], []
    for index in np.unique(np.linspace(0, len(frames) - 1, LOOKED_AT).astype(int)):
        p, g, _ = UnderCompositions(frames, int(index), maps[int(index)]).pixels(one)
        if p.size < FEWEST:
            continue
        ratios.append(np.median(p) / np.median(g))
        logs = np.log(p.astype(np.float64)), np.log(g.astype(np.float64))
        if min(values.std() for values in logs) > 1e-3:  # a constant has no correlation
            correlations.append(np.corrcoef(*logs)[0, 1])
    if correlations and np.median(correlations) < OPPOSED:
        disparity = maps.kind == "disparity"
        other = "depth: leave --disparity out" if disparity else "1 / depth: give --disparity"
        return [f"maps fall where true depth grows: they may hold {other}"]
    scale = float(np.median(ratios)) if ratios else 1.0
    if maps.kind == "depth" and not SCALES[0] < scale < SCALES[1]:
        cause = "a wrong unit or --divisor, unless their scale is arbitrary"
        return [f"maps are about {scale:.2g} times the true depth: {cause}"]
    return []
