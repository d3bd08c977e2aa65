"""Which reading of the paper's lower bound fits its printed row, asked without any data set.

The paper's lower bound is random depth. Scored in imaginary rooms that have one depth everywhere,
each metric of the printed row implies a depth of the room; the right reading implies about the same
depth by all metrics.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from depthclip_core.datasets.nyu import FRAME_SHAPE
from depthclip_core.evaluation.baselines import READINGS, lower_bound
from depthclip_core.settings import PUBLISHED_METRICS

SIX = list(PUBLISHED_METRICS)


def room_scores(depths: Sequence[float], draws: int = 8) -> pd.DataFrame:
    """Six metrics of random depth in rooms that have one depth everywhere: rows (reading, depth).

    depths: metres. draws: rooms of each depth for the reading per cell, which has no closed form;
    the draws are the same at all depths. The protocol is the released one.
    """
    found = {}
    for reading in READINGS:
        n = draws if reading == "cell" else 1
        for depth in depths:
            room = np.full((n, *FRAME_SHAPE), depth, np.float32)
            found[reading, depth] = lower_bound(room, reading)[SIX].mean()
    return pd.DataFrame(found).T.rename_axis(["reading", "depth"])


def implied_depths(rooms: pd.DataFrame, printed: pd.Series) -> pd.DataFrame:
    """The room depth, in metres, at which each metric is nearest to the printed: one column each.

    rooms: as from `room_scores`, between whose depths metrics are interpolated.
    """
    found = {}
    for reading, table in rooms.groupby(level="reading", sort=False):
        at = table.index.get_level_values("depth").to_numpy(float)
        fine = np.arange(at.min(), at.max() + 0.005, 0.01)
        found[reading] = {
            m: fine[np.abs(np.interp(fine, at, table[m]) - printed[m]).argmin()] for m in SIX
        }
    return pd.DataFrame(found).rename_axis("metric")
