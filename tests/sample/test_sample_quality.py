"""What the sample's CLIP must achieve on the test split, with bins fitted on the train split."""

import numpy as np
import pytest

import depthclip_core as dc
from depthclip_core.analysis import scene_classifier
from depthclip_core.encoding import passes as encoding
from depthclip_core.evaluation import scoring
from depthclip_core.settings import PROMPTS, PUBLISHED_METRICS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run():
    encoder = dc.load_encoder("sample", device="cpu")
    frames = {s: dc.open_dataset("sample", s) for s in ("train", "test")}
    similarities = {
        split: encoding.collect_responses(
            part, encoder, PROMPTS["original"], ["value"], progress=False
        )["value"]
        for split, part in frames.items()
    }
    bins = scoring.fit(frames["train"], similarities["train"])
    return encoder, frames, similarities["test"], bins


def test_splits_are_large_enough_and_disjoint(run):
    _, frames, _, _ = run
    assert len(frames["test"]) >= 64 and len(frames["train"]) >= 96
    assert not set(frames["test"].groups) & set(frames["train"].groups)
    assert len(set(frames["test"].scenes)) >= 8


def test_value_head_with_fitted_bins_predicts_depth(run):
    _, frames, similarity, bins = run
    mean = dc.summarise(scoring.score(frames["test"], similarity, bins))
    assert mean["n_empty"] == 0
    assert mean["delta1"] >= 0.70
    assert scoring.correlation(frames["test"], similarity, bins) >= 0.80


def test_value_head_beats_the_best_constant_of_each_metric(run):
    _, frames, similarity, bins = run
    ours = dc.summarise(scoring.score(frames["test"], similarity, bins))
    truth = np.stack([frame.raw_depth for frame in frames["test"]])
    # Chosen on the test split itself, so that no constant does better.
    for metric, metres in dc.best_constants(truth)[list(PUBLISHED_METRICS)].items():
        rows = dc.evaluate(dc.constant_depth(metres, len(truth)), truth)
        constant = dc.summarise(rows)[metric]
        better = ours[metric] > constant if metric.startswith("delta") else ours[metric] < constant
        assert better, f"{metric}: {ours[metric]:.3f} against {constant:.3f} of {metres:.2f} m"


def test_zero_shot_scene_classification(run):
    encoder, frames, _, _ = run
    kinds = sorted(set(frames["test"].scenes))
    answers = scene_classifier.classify_scenes(frames["test"], encoder, kinds).argmax(1)
    right = np.mean([kinds[a] == s for a, s in zip(answers, frames["test"].scenes, strict=True)])
    assert right >= 0.60
