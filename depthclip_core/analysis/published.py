"""The paper's printed numbers as tables: its results, its two ablations, its gain rows.

Zhang et al., "Can Language Understand Depth?", ACM MM 2022; NYU Depth v2, 654 test images.
"""

import pandas as pd

from depthclip_core.settings import PUBLISHED, PUBLISHED_METRICS

ABOUT = ("supervision", "pre_training", "transfer")


def results() -> pd.DataFrame:
    """Table 1, a row for each system: what it learnt from (text), and six metrics (NaN: absent)."""
    rows = pd.DataFrame(PUBLISHED["results"]["rows"]).set_index("system")
    rows = rows.reindex(columns=[*ABOUT, *PUBLISHED_METRICS])
    return rows.fillna(dict.fromkeys(ABOUT, "–"))


def later() -> pd.DataFrame:
    """What others print for related systems on NYU, each under its own protocol.

    Rows by system: what it was trained on, its source, six metrics (NaN: not printed), whether the
    numbers were checked against the source, and a note.
    """
    rows = pd.DataFrame([row | row.get("scores", {}) for row in PUBLISHED["later"]])
    columns = ["trained_on", "source", *PUBLISHED_METRICS, "checked", "note"]
    return rows.set_index("system")[columns].fillna({"note": ""})


def quotes() -> pd.DataFrame:
    """What later papers print for DepthCLIP itself: rows by source, six metrics (NaN: absent)."""
    rows = {row["source"]: row["scores"] for row in PUBLISHED["quotes"]}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(PUBLISHED_METRICS))
    return table.rename_axis("source")


def partitions() -> pd.DataFrame:
    """The class-dependent bins: rows (scene, bins), six metrics; scene "all" is all frames."""
    tables = PUBLISHED["partitions"].items()
    return _by_scene({(scene, b): row for scene, table in tables for b, row in table.items()})


def gains() -> pd.DataFrame:
    """The "best partition's gain" rows as printed: rows (scene, bins), six metrics."""
    gains = PUBLISHED["gains"].items()
    return _by_scene({(scene, gain["partition"]): gain["printed"] for scene, gain in gains})


def _by_scene(rows: dict[tuple[str, str], list[float]]) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(rows, names=("scene", "bins"))
    return pd.DataFrame(list(rows.values()), index, list(PUBLISHED_METRICS))


def prompts() -> pd.DataFrame:
    """The prompts' table: rows named as in `settings.PROMPTS`, six metrics; original bins."""
    table = pd.DataFrame(PUBLISHED["prompts_ablation"], list(PUBLISHED_METRICS)).T
    return table.rename_axis("prompts")
