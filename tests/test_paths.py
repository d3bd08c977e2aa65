"""Paths as users write them, at each entrance."""

import pytest

import depthclip_core as dc
from depthclip_core.encoding.store import Store
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.map_files import open_maps
from depthclip_core.files import Notes, checksums
from depthclip_core.settings import data_folder

NOBODY = "~nobody-of-this-name/data"
PAIRS = {"rgb": "*.png", "depth": "*.npy", "divisor": 1000}


@pytest.mark.parametrize(
    ("name", "options"),
    [("photos", {}), ("nyu", {}), ("kitti", {}), ("sunrgbd", {}), ("pairs", PAIRS)],
)
def test_data_in_the_home_of_an_unknown_user_is_one_line(name, options):
    with pytest.raises(DepthClipError, match="the home of an unknown user"):
        dc.open_dataset(name, data=NOBODY, **options)


def test_other_paths_in_the_home_of_an_unknown_user_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("DEPTHCLIP_DATA", NOBODY)
    for use in (
        lambda: open_maps(NOBODY, ["a"]),
        lambda: Store(NOBODY),
        lambda: checksums([NOBODY], Notes(tmp_path / "notes.json")),
        data_folder,
    ):
        with pytest.raises(DepthClipError, match="the home of an unknown user"):
            use()
