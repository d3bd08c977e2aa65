"""The list of the sample's rooms, and the file that `make render` writes."""

from collections import Counter
from io import BytesIO
from itertools import islice
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from depthclip_core import sample
from depthclip_core.datasets import open_dataset
from depthclip_core.datasets.sample import SampleFrames
from depthclip_core.errors import DepthClipError
from depthclip_core.sample.world import ship
from depthclip_core.sample.world.render import room_views
from depthclip_core.sample.world.scene import OBJECT_NAMES

pytestmark = pytest.mark.slow  # most tests here render rooms

ROOMS = [
    ship.PlannedRoom("bathroom", "bathroom_0001", 0, "test", 2),
    ship.PlannedRoom("office", "office_0001", 1, "train", 1),
]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return ship.render_sample(tmp_path_factory.mktemp("new") / "a" / "frames.zip", ROOMS)


def test_planned_rooms_match_the_shipped_frames():
    shipped, planned = open_dataset("sample", "all"), ship.rooms()
    assert list(dict.fromkeys(shipped.groups)) == [room.name for room in planned]
    views = Counter(shipped.groups)
    assert [views[room.name] for room in planned] == [room.n_views for room in planned]
    assert min(room.seed for room in planned) >= ship.PRETRAIN_SEED_LIMIT
    assert len({room.seed for room in planned}) == len(planned)
    assert shipped.object_names == list(OBJECT_NAMES)


def test_rendered_file_round_trips(rendered):
    frames = SampleFrames("all", path=rendered)
    assert frames.groups == ["bathroom_0001"] * 2 + ["office_0001"]
    assert SampleFrames("train", path=rendered).names == ["0003"]
    for position, view in enumerate(islice(room_views("bathroom", 0), 2)):
        frame = frames[position]
        assert np.array_equal(frame.depth, view.depth)
        assert np.array_equal(frame.raw_depth == 0, view.holes)
        assert np.array_equal(frames.labels(position), view.labels)
        assert 0.5 < np.abs(frame.rgb.astype(int) - view.rgb).mean() < 6  # lossy: a JPEG


def test_rendering_twice_gives_equal_files(rendered, tmp_path):
    again = ship.render_sample(tmp_path / "again.zip", ROOMS)
    assert again.read_bytes() == rendered.read_bytes()


def test_render_sample_never_overwrites(tmp_path):
    path = tmp_path / "mine.zip"
    path.write_bytes(b"mine")
    with pytest.raises(DepthClipError, match="mine.zip exists: move it away"):
        ship.render_sample(path, ROOMS)
    assert path.read_bytes() == b"mine"


def test_interrupted_run_leaves_no_file(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ship, "_table", stop)
    with pytest.raises(KeyboardInterrupt):
        ship.render_sample(tmp_path / "frames.zip", ROOMS[1:])
    assert list(tmp_path.iterdir()) == []


def test_depth_is_a_16_bit_png(rendered):
    with ZipFile(rendered) as archive:
        depth = Image.open(BytesIO(archive.read(sample.member("depth", "0001"))))
    assert depth.format == "PNG" and depth.mode == "I;16"
