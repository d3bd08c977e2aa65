import numpy as np
import pytest
from PIL import Image

import depthclip_core as dc
from depthclip_core import datasets
from depthclip_core.analysis import detail, scene_depths, word_responses
from depthclip_core.datasets import REGISTRY, Dataset, Frame, dataset_class
from depthclip_core.datasets.nyu import EIGEN_CROP
from depthclip_core.encoding.passes import collect_responses
from depthclip_core.evaluation import scoring
from depthclip_core.evaluation.protocols import PROTOCOLS, protocol_for
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.settings import Window
from depthclip_core.widgets.explorers import CellExplorer


class Corridor(Dataset):
    """Two frames of an unusual size."""

    title, splits, licence, citation = "corridor", ("all",), "CC0", "nobody"
    frame_shape, crop = (96, 128), Window(0, 96, 0, 96)
    evaluation_crop, depth_cap = Window(10, 90, 5, 120), 20.0

    @classmethod
    def open(cls, split, data, released_preprocessing, **options):
        datasets.base.checked_split(split, cls.splits)
        return cls()

    def __len__(self):
        return 2

    def read_frame(self, index):
        rgb = np.full((*self.frame_shape, 3), 100 * index, np.uint8)
        depth = np.full(self.frame_shape, 12.0, np.float32)
        return Frame(f"{index}", rgb, raw_depth=depth, crop=self.crop)


@pytest.fixture
def corridor(monkeypatch):
    monkeypatch.setitem(REGISTRY, "corridor", datasets.Entry(__name__, "Corridor"))
    return dc.open_dataset("corridor", "all")


def test_new_data_set_needs_one_class_and_one_registry_line(corridor):
    assert isinstance(corridor, Corridor) and corridor[1].window == Window(0, 96, 0, 96)
    encoder = dc.load_encoder("sample", device="cpu")
    assert dc.predict_depth(corridor[:], encoder).shape == (2, 96, 96)


@pytest.mark.parametrize("name", REGISTRY)
def test_every_data_set_states_its_facts(name):
    kind = dataset_class(name)
    assert kind.licence and kind.splits
    if REGISTRY[name].has_depth and name != "pairs":  # whose facts are options
        assert kind.citation and kind.depth_cap
        assert bool(kind.frame_shape) == bool(kind.evaluation_crop)  # sizes may differ


def test_nyu_is_scored_in_the_eigen_crop_up_to_10_m():
    kind = dataset_class("nyu")
    assert (kind.evaluation_crop, kind.depth_cap) == (EIGEN_CROP, 10.0)
    assert kind.published_preprocessing and not dataset_class("sample").published_preprocessing


def test_unknown_names_and_options_raise_one_clear_line(tmp_path):
    with pytest.raises(dc.DepthClipError, match="unknown data set 'nyuv2': did you mean 'nyu'"):
        dc.open_dataset("nyuv2")
    with pytest.raises(dc.DepthClipError, match="cannot open 'sample' with .*long_side"):
        dc.open_dataset("sample", long_side=320)
    with pytest.raises(dc.DepthClipError, match="unknown split 'tests': did you mean 'test'"):
        dc.open_dataset("sample", "tests")


def test_new_data_set_is_scored_by_its_own_crop_and_cap(corridor):
    encoder = dc.load_encoder("sample", device="cpu")
    similarities = collect_responses(
        corridor, encoder, ["near", "far"], ["value"], progress=False, keep="similarities"
    )["value"]
    rows = scoring.score(corridor, similarities, [1.0, 15.0])
    # Columns 96 to 119 are in the evaluation crop, but the network does not see them.
    assert rows["n_pixels"].tolist() == [80 * 91] * 2
    depth = next(
        scoring.predictions(similarities, [1.0, 15.0], protocol=protocol_for(corridor, "released"))
    )
    inside = depth[10:90, 5:96]
    assert rows["mae"].iloc[0] == pytest.approx(np.abs(inside - 12.0).mean(), abs=1e-4)


def test_protocol_names_mean_alignment_and_flip_for_other_data_sets(corridor):
    protocol = protocol_for(corridor, "marigold")
    assert (protocol.align, protocol.flip) == ("least-squares", False)
    assert (protocol.frame, protocol.window) == ((96, 128), corridor.crop)
    assert (protocol.region, protocol.max_depth) == (corridor.evaluation_crop, 20.0)
    assert protocol_for(dc.open_dataset("sample"), "released") is PROTOCOLS["released"]
    assert protocol_for(dc.open_dataset("sample")[:2], "bts") is PROTOCOLS["bts"]


def test_every_analysis_runs_on_another_size(corridor):
    run = dc.open_run(
        "corridor", "all", head="value", prompts="near, far", bins="1, 15", device="cpu"
    )
    assert run.protocol == protocol_for(corridor, "released") and run.protocol_name == "released"
    similarities, truths = run.similarities(), list(run.frames.ground_truths())
    depths = word_responses.cell_depths(truths, run.grid, protocol=run.protocol)
    assert depths.shape == (2, *run.grid) and np.nanmax(depths) == 12
    assert scene_depths.depth_histograms(truths, run.protocol).to_numpy().any()
    maps = list(scoring.predictions(similarities, run.bins, protocol=run.protocol))
    assert detail.detail(run.frames, maps, run.grid, run.protocol)["rmse"].notna().all()
    assert len(scoring.fit(run.frames, similarities, protocol=run.protocol)) == 2
    rows = sweep(truths, similarities, [run.bins], protocols=[run.protocol]).rows()
    own = scoring.score(run.frames, similarities, run.bins)
    np.testing.assert_allclose(rows["rmse"], own["rmse"], atol=1e-5)
    assert CellExplorer(run.frames, similarities, run.words, run.bins).picture.figure


def test_lower_bound_and_constants_reach_the_far_limit(corridor):
    protocol = protocol_for(corridor, "released")
    truth = corridor[0].raw_depth[None]
    closed, drawn = (
        dc.lower_bound(truth, protocol=protocol, drawn=d)["rmse"] for d in (None, True)
    )
    assert closed.iloc[0] == pytest.approx(drawn.iloc[0], rel=0.05)
    assert dc.best_constants(truth, protocol)["rmse"] == pytest.approx(12.0, abs=0.01)


def test_own_crop_counts_even_if_size_and_crop_are_nyus(monkeypatch):
    frames = dc.open_dataset("sample")
    monkeypatch.setattr(frames, "evaluation_crop", Window(100, 300, 100, 500))
    monkeypatch.setattr(frames, "depth_cap", 5.0)
    protocol = protocol_for(frames, "released")
    assert (protocol.region, protocol.max_depth) == (frames.evaluation_crop, 5.0)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: dc.open_dataset(["sample"]), "unknown data set"),
        (lambda: dc.open_dataset("nyu", data=3), "data is a path, not 3"),
        (lambda: protocol_for(dc.open_dataset(), ["bts"]), "unknown protocol"),
        (lambda: dc.predict_depth([], dc.load_encoder(device="cpu")), "no frames"),
        (
            lambda: dc.predict_depth(dc.open_dataset()[:0], dc.load_encoder(device="cpu")),
            "no frames",
        ),
    ],
)
def test_wrong_types_raise_one_clear_line(call, says):
    with pytest.raises(dc.DepthClipError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_description_gives_path_and_options(tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(np.zeros((40, 80, 3), np.uint8)).save(tmp_path / "in" / "a.png")
    description = tmp_path / "mine.toml"
    description.write_text('path = "in"\nlong_side = 20\n')
    assert dc.open_dataset("photos", "all", data=description)[0].rgb.shape == (10, 20, 3)
    assert dc.open_dataset("photos", data=str(description), long_side=None)[0].rgb.shape[1] == 80
    for text, says in [("long side = 3", "cannot read"), ("path = 3", "path must be text")]:
        description.write_text(text)
        with pytest.raises(dc.DepthClipError, match=says) as caught:
            dc.open_dataset("photos", data=description)
        assert "\n" not in str(caught.value)
