"""How much the JPEG step of the released preprocessing changes metrics, on frames without JPEG."""

from itertools import islice

import numpy as np
import pytest
import torch

import depthclip_core as dc
from depthclip_core.analysis import tables
from depthclip_core.datasets.nyu import preprocess_rgb
from depthclip_core.evaluation.sweep import sweep
from depthclip_core.method.pipeline import respond
from depthclip_core.sample.sensor import measure
from depthclip_core.sample.world.render import room_views
from depthclip_core.sample.world.ship import rooms
from depthclip_core.settings import BINS, PROMPTS, PUBLISHED_METRICS, RELEASED_WINDOW


@pytest.mark.slow
def test_effect_of_jpeg_preprocessing_matches_table():
    """On the first test room of each scene type; the table used all four."""
    first = {room.scene: room for room in reversed(rooms()) if room.split == "test"}
    views = [v for r in first.values() for v in islice(room_views(r.scene, r.seed), r.n_views)]
    truths = [
        measure(np.rint(view.depth * 1000).astype(np.uint16), view.holes, i) / np.float32(1000)
        for i, view in enumerate(views)
    ]
    encoder = dc.load_encoder("sample", device="cpu")
    text = encoder.text_vectors(PROMPTS["original"])

    def rows(pictures):
        similarity = [
            respond(p[None], encoder, text, ["released"], crop=RELEASED_WINDOW)["released"]
            for p in pictures
        ]
        scores = sweep(truths, torch.cat(similarity), BINS)
        return np.stack([scores.rows(bins)[list(PUBLISHED_METRICS)] for bins in BINS])

    change = rows([preprocess_rgb(view.rgb) for view in views]) - rows([view.rgb for view in views])
    moved = np.sqrt((change**2).mean(axis=1)).max(axis=0)
    np.testing.assert_allclose(moved, tables.MOVED["without the JPEG"], rtol=0.35)
