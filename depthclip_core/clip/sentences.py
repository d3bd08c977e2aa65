"""Sentences made of words and templates, their tokens, of which none is lost, and their means."""

from collections.abc import Sequence
from string import Formatter

import torch.nn.functional as F
from torch import Tensor

from depthclip_core.errors import DepthClipError
from depthclip_core.settings import OBJECT, TEMPLATES, check_words

FIELDS = {"object", "distance"}  # of a template
LONGEST_TOKEN = 32  # characters, on average over a sentence
SHOWN = 60  # characters of a sentence in an error


def sentences_of(
    words: Sequence[str], templates: Sequence[str] = TEMPLATES, noun: str = OBJECT
) -> list[str]:
    """Every template filled with every word, the templates of one word side by side."""
    words, templates = check_words(words), check_templates(templates)
    return [t.format(object=noun, distance=word) for word in words for t in templates]


def mean_over_templates(vectors: Tensor, words: Sequence[str]) -> Tensor:
    """Vectors of `sentences_of` the words, (K · T, D) → (K, D) unit vectors."""
    return F.normalize(vectors.unflatten(0, (len(words), -1)).mean(1), dim=-1)


def check_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """The templates, if each is a text with {distance} and no other field than {object}."""
    wanted = 'templates are texts such as "This {object} is {distance}"'
    if isinstance(templates, str) or not all(isinstance(t, str) for t in templates):
        raise DepthClipError(f"{wanted}, in a list, got {templates!r}")
    if not templates:
        raise DepthClipError(f"there is no template: {wanted}")
    for template in templates:
        try:
            fields = {(name, form, turned) for _, name, form, turned in Formatter().parse(template)}
        except ValueError:
            raise DepthClipError(f"{template!r} is no template: {wanted}") from None
        named = {name for name, *_ in fields if name is not None}
        plain = all(not (form or turned) for name, form, turned in fields if name is not None)
        if "distance" not in named or not named <= FIELDS or not plain:
            raise DepthClipError(f"{template!r} is no template: {wanted}")
    return tuple(templates)


def check_sentences(sentences: Sequence[str]) -> list[str]:
    """The sentences as a list, if they are texts."""
    texts = [sentences] if isinstance(sentences, str) else list(sentences)
    if isinstance(sentences, str) or not all(isinstance(text, str) for text in texts):
        raise DepthClipError(f"sentences are a list of texts, got {sentences!r}")
    return texts


def tokens_of(sentences: Sequence[str], tokenizer) -> Tensor:
    """N sentences → (N, tokenizer.context_length) int64.

    open_clip's tokenizers cut off what does not fit: here it raises `DepthClipError`, which shows
    the beginning of the sentence.
    """
    limit = tokenizer.context_length
    for sentence in sentences:
        # Texts of millions of characters would take a tokenizer hours.
        if len(sentence) > LONGEST_TOKEN * limit:
            raise _too_long(sentence, limit)
    tokens = tokenizer(["", *sentences], context_length=limit + 1)
    beyond = tokens[1:, limit] != tokens[0, limit]  # not what fills the rest of a short text
    if beyond.any():
        raise _too_long(sentences[int(beyond.nonzero()[0])], limit)
    return tokens[1:, :limit]


def _too_long(sentence: str, limit: int) -> DepthClipError:
    shown = sentence if len(sentence) <= SHOWN else f"{sentence[:SHOWN]} …"
    fault = f"{shown!r} has more than the {limit} tokens that CLIP's text tower reads"
    return DepthClipError(f"{fault}: use a shorter word")
