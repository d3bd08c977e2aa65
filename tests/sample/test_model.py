import hashlib

import depthclip_core as dc
from depthclip_core.sample import model


def test_packaged_weights_are_small_and_match_their_card():
    assert model.WEIGHTS.stat().st_size <= 8e6
    card = model.WEIGHTS.with_suffix(".md").read_text(encoding="utf-8")

    assert hashlib.sha256(model.WEIGHTS.read_bytes()).hexdigest() in card
    encoder = dc.load_encoder("sample", device="cpu")
    width = encoder.visual.attnpool.v_proj.in_features
    assert width == 2 * encoder.visual.output_dim  # as in RN50
