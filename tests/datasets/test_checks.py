"""Checks of data find what is misread, and leave sound data alone: the sample's and real frames."""

import csv
import re

import numpy as np
import pytest

import depthclip_core as dc
from depthclip_core.datasets import checks, registration
from depthclip_core.datasets.checks import ROOM, STREET, check_pairs, sample_pairs

# What the sources' notes say is odd about them; everything else is sound.
KNOWN_FAULTS = {
    "nyu_unidepth": {"saturation"},
    "nyu_mmseg": {"saturation"},
    "esanet_sample": {"saturation"},
    "sevenscenes_tsdf": {"registration"},
}


def inverse(depth):
    return np.where(depth > 0, 1 / np.maximum(depth, 1e-3), 0).astype(np.float32)


def saturated(depth):
    """Depth with its farthest 3 % at one value."""
    far = np.quantile(depth[depth > 0], 0.97)
    return np.where(depth > far, np.float32(99), depth)


def warnings(pairs, **options):
    return {found.name for found in check_pairs(pairs, **options) if found.severity == "warning"}


def changed(pairs, change):
    return [(rgb, change(depth)) for rgb, depth in pairs]


@pytest.fixture(scope="module")
def sample():
    return sample_pairs(dc.open_dataset("sample"), 4)


@pytest.fixture(scope="module")
def sets(rgbd):
    """The real frames of each source: pairs, divisor and depth cap."""
    with (rgbd / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {}
    for source in dict.fromkeys(row["source"] for row in rows):
        pairs = []
        of_source = [row for row in rows if row["source"] == source]
        for row in of_source:
            options = {f"{kind}": row[kind].replace(row["name"], "*") for kind in ("rgb", "depth")}
            options["rotated_bits"] = 3 if row["encoding"] == "sunrgbd-rot3" else 0
            options["divisor"] = float(row["divisor_to_metres"])
            # Others of the source may be TUM's, with another suffix and divisor.
            options["unpaired"] = "skip"
            frames = dc.open_dataset("pairs", data=rgbd / source, **options)
            frame = frames[frames.names.index(row["name"])]
            pairs.append((frame.rgb, frame.raw_depth))
        cap = 80.0 if of_source[0]["kind"] == "outdoor" else 10.0
        found[source] = (pairs, float(of_source[0]["divisor_to_metres"]), cap)
    assert sum(len(pairs) for pairs, *_ in found.values()) == 45
    return found


def test_sample_frames_are_evenly_spread():
    frames = dc.open_dataset("sample")
    pairs = sample_pairs(frames, 3)
    assert len(pairs) == 3 and len(sample_pairs(frames[:2], 20)) == 2
    np.testing.assert_array_equal(pairs[-1][1], frames.raw_depth(-1))


def test_the_sample_passes_and_its_corrupted_copies_do_not(sample):
    assert check_pairs(sample, depth_cap=10) == []
    assert "inverse" in warnings(changed(sample, inverse))
    assert warnings(changed(sample, saturated)) == {"saturation"}
    for factor in (1000, 1 / 5, 1 / 10, 1000 / 256, 5):
        assert checks.check_scale([depth * factor for _, depth in sample], depth_cap=10), factor
    moved = changed(sample, lambda depth: np.roll(depth, 12, 1))
    (found,) = check_pairs(moved, depth_cap=10)
    assert found.name == "registration" and re.search("about 1[123] px left:", found.line)


def test_wrong_divisor_names_the_right_one(sample):
    depths = [depth for _, depth in sample]
    line = checks.check_scale([d * 1000 for d in depths], divisor=1, depth_cap=10).line
    assert "the median depth is 2392 m" in line and "not those of a room" in line
    assert line.endswith("divisor 1000 gives a median of 2.39 m")
    far = [d * 1000 / 256 for d in depths]
    line = checks.check_scale(far, divisor=256, depth_cap=10).line
    assert "raise depth_cap if this is a street; divisor 1000 gives" in line
    # Without a cap that says which, both are plausible.
    assert checks.check_scale(far) is None


def test_fitting_divisors_tell_rooms_from_streets_where_they_can():
    assert checks.fitting_divisors(3.0, 8.0) == [(1, ROOM)]
    assert checks.fitting_divisors(3000, 6000)[0] == (1000, ROOM)
    assert (256, STREET) in checks.fitting_divisors(3400, 11500)
    assert checks.fitting_divisors(1e9, 1e9) == []


def test_registration_is_a_note_where_it_is_stated(sample):
    moved = changed(sample, lambda depth: np.roll(depth, 12, 1))
    (found,) = check_pairs(moved, registered=False)
    assert found.severity == "note" and "as the description says" in found.line


def test_holes_are_told(sample):
    (_, depth), rgb = sample[0], sample[0][0]
    nothing, full = np.zeros_like(depth), np.full_like(depth, 2.0)
    (found,) = check_pairs([(rgb, nothing)])
    assert (found.name, found.severity) == ("holes", "warning") and "none of 1" in found.line
    (found,) = check_pairs([sample[0], (rgb, nothing)])
    assert "1 of 2 frames have no valid depth" in found.line
    (found,) = check_pairs([(rgb, full)])
    assert found.severity == "note" and "every pixel has depth" in found.line
    few = np.where(np.arange(depth.size).reshape(depth.shape) % 10 == 0, depth, 0)
    (found,) = check_pairs([(rgb, few)])
    assert found.severity == "note" and "sparse" in found.line


def test_small_and_flat_frames_raise_nothing():
    for shape in ((1, 1), (5, 7), (40, 40)):
        pair = (np.zeros((*shape, 3), np.uint8), np.full(shape, 2.0, np.float32))
        assert warnings([pair]) == set()
    correlation, n = registration.edge_correlation(*pair, reach=24)
    assert n == 0 and not correlation.any()


def test_a_plane_is_straight_in_inverse_depth():
    rows = np.arange(480)[:, None] + np.zeros(640)
    floor = (300 / (rows + 100)).astype(np.float32)  # of a camera that looks down
    balance, n_lines = checks.straightness_votes(floor)
    assert balance == n_lines > checks.MANY_LINES
    assert checks.straightness_votes(1 / floor)[0] == -n_lines
    assert checks.downward_growth(floor) < -0.9 < 0.9 < checks.downward_growth(1 / floor)


# --- rates on real frames: 20 sets, of which 3 outdoors ---------------------------------------


@pytest.mark.slow
def test_sound_real_sets_raise_no_warning(sets):
    for source, (pairs, divisor, cap) in sets.items():
        found = warnings(pairs, divisor=divisor, depth_cap=cap)
        assert found == KNOWN_FAULTS.get(source, set()), source


@pytest.mark.parametrize(
    ("wrong", "least"), [(1, 1), (256, 1), (1000, 1), (5000, 0.9), (10000, 0.9)]
)
def test_wrong_divisors_of_real_sets_are_found(sets, wrong, least):
    found = []
    for pairs, divisor, cap in sets.values():
        if divisor != wrong:
            depths = [depth * np.float32(divisor / wrong) for _, depth in pairs]
            found.append(checks.check_scale(depths, wrong, cap) is not None)
    assert np.mean(found) >= least


def test_inverse_depth_of_real_sets_is_found(sets):
    found = [checks.check_inverse([inverse(d) for _, d in pairs]) for pairs, *_ in sets.values()]
    assert np.mean([finding is not None for finding in found]) >= 0.95


def test_saturated_real_sets_are_found(sets):
    for pairs, *_ in sets.values():
        assert checks.check_saturation([saturated(depth) for _, depth in pairs])


@pytest.mark.slow
def test_shifted_real_sets_are_mostly_found(sets):
    found = []
    for pairs, _, cap in sets.values():
        if cap == 10:  # a LiDAR's depth has no edges
            moved = changed(pairs, lambda depth: np.roll(depth, 12, 1))
            found.append(checks.check_registration(moved) is not None)
    assert np.mean(found) >= 0.85


def test_a_corner_of_what_is_tried_is_no_shift(sets):
    """One registered frame of a mixed folder, whose edges agree by chance 21 px up and right."""
    (alone,) = [pair for pair in sets["sunrgbd_toy"][0] if pair[1].shape == (427, 561)]
    assert checks.check_registration([alone]) is None
