"""Sentences are read whole or refused, and encoded in bounded batches."""

import pytest
import torch

import depthclip_core as dc
from depthclip_core.clip.sentences import sentences_of
from depthclip_core.encoding.store import Store
from depthclip_core.encoding.vectors import text_vectors

LONG = "very " * 90 + "far"


@pytest.fixture(scope="module")
def encoder():
    return dc.load_encoder("sample", device="cpu").built()


def test_word_beyond_the_context_is_named(encoder, tmp_path):
    store = Store(tmp_path)
    for call in (
        lambda: encoder.text_vectors(["near", LONG]),
        lambda: encoder.encode_text([LONG]),
        lambda: text_vectors(encoder, ["near", LONG], store),
    ):
        with pytest.raises(dc.DepthClipError, match="very very .* has more than the 24 tokens"):
            call()


def test_text_of_a_million_letters_takes_no_time(encoder):
    with pytest.raises(dc.DepthClipError, match="more than the 24 tokens"):
        encoder.encode_text(["a" * 10**6])


def test_sentence_that_just_fits_is_read_whole(encoder):
    import open_clip

    fitting, longer = "far " * 22, "far " * 23
    tokens = open_clip.get_tokenizer("sample")([fitting])
    expected = encoder.model.encode_text(tokens, normalize=True)
    assert torch.allclose(encoder.encode_text([fitting]), expected, atol=1e-6)
    with pytest.raises(dc.DepthClipError, match="tokens"):
        encoder.encode_text([longer])


def test_sentences_are_encoded_in_bounded_batches(encoder, monkeypatch):
    sizes, encode = [], encoder.model.encode_text
    monkeypatch.setattr(
        encoder.model, "encode_text", lambda tokens: sizes.append(len(tokens)) or encode(tokens)
    )
    vectors = encoder.encode_text([f"{n} metres away" for n in range(600)])
    assert sizes == [256, 256, 88]
    assert torch.allclose(
        vectors[255:258],
        encoder.encode_text([f"{n} metres away" for n in (255, 256, 257)]),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "template", ["{size}", "{", "{0} {distance}", "{distance.__class__}", "none", "{distance!r}"]
)
def test_template_holds_the_two_fields_alone(template):
    with pytest.raises(dc.DepthClipError, match="is no template: templates are texts such as"):
        sentences_of(["near"], [template])


def test_one_text_is_no_list_of_sentences(encoder):
    with pytest.raises(dc.DepthClipError, match="a list of texts"):
        encoder.encode_text("near")
    with pytest.raises(dc.DepthClipError, match="in a list"):
        sentences_of(["near"], "{distance}")
    with pytest.raises(dc.DepthClipError, match="a list of words"):
        sentences_of("near")
