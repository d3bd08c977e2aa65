"""Vectors of sentences and whole images, from the store: a second run needs no network."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from depthclip_core.clip.encoders import Encoder
from depthclip_core.clip.sentences import mean_over_templates, sentences_of
from depthclip_core.datasets.base import Frame, FrameList, as_dataset
from depthclip_core.encoding.locks import hold
from depthclip_core.encoding.store import AbsentChunk, DamagedChunk, Store, StoredArray
from depthclip_core.errors import DepthClipError
from depthclip_core.files import temporary_folder
from depthclip_core.settings import network_window, resolve_prompts


def text_vectors(
    encoder: Encoder, words: str | Sequence[str], store: Store | None = None
) -> Tensor:
    """K distance words, or a published name → (K, D), as `Encoder.text_vectors` of the words."""
    words = resolve_prompts(words)
    return mean_over_templates(sentence_vectors(encoder, sentences_of(words), store), words)


def sentence_vectors(
    encoder: Encoder, sentences: Sequence[str], store: Store | None = None
) -> Tensor:
    """N sentences → (N, D), as `Encoder.encode_text`: fp32 unit vectors on the encoder's device."""
    sentences = list(sentences)
    encoder.check_lengths(sentences)
    settings = {"kind": "sentences", "words": sentences, "encoder": encoder.identity}
    with store_for(encoder, store) as opened:
        array = opened.array(settings, len(sentences))
        return _kept(array, lambda: encoder.encode_text(sentences)).to(encoder.device)


def image_vectors(frames: Sequence[Frame], encoder: Encoder, store: Store | None = None) -> Tensor:
    """N frames → (N, D) fp32 unit vectors, CLIP's own embedding of whole photographs.

    Photographs are cut and shrunk as CLIP does, see `shrink`, without their white border. Vectors
    of a list of frames, which is no data set, are not kept.
    """
    dataset = as_dataset(frames)

    def make() -> Tensor:
        vectors = []
        for frame in dataset:
            inside = network_window(frame.rgb.shape[:2], frame.content)
            image = encoder.normalise(shrink(frame.rgb[inside.slices], encoder.image_side)[None])
            vectors.append(encoder.image_vectors(encoder.features(image)))
        return torch.cat(vectors)

    if isinstance(dataset, FrameList):
        return make()
    with store_for(encoder, store) as opened:
        settings = {
            "kind": "images",
            "data": dataset.identity(opened.checksums),
            "encoder": encoder.identity,
            "arithmetic": encoder.arithmetic,
        }
        return _kept(opened.array(settings, len(dataset)), make).to(encoder.device)


def shrink(rgb: np.ndarray, side: int) -> np.ndarray:
    """The middle square of a photograph at a model's resolution, as CLIP prepares its images.

    The shorter side becomes `side` pixels (bicubic). uint8 (H, W, 3) → (side, side, 3).
    """
    return np.array(ImageOps.fit(Image.fromarray(rgb), (side, side), Image.Resampling.BICUBIC))


@contextmanager
def store_for(encoder: Encoder, store: Store | None) -> Iterator[Store]:
    """The store that was given, else the user's; for random weights, which never recur, none."""
    temporary = store is None and encoder.weights == "random"
    with temporary_folder() if temporary else nullcontext() as folder:
        yield store or Store(folder)


def _kept(array: StoredArray, make: Callable[[], Tensor]) -> Tensor:
    """An array from the store; if a chunk is missing or damaged, it is made, and kept if it can."""
    with suppress(AbsentChunk, DamagedChunk):
        return torch.from_numpy(np.concatenate([array.read(i) for i in range(array.n_chunks)]))
    vectors = make()
    if vectors.isfinite().all():
        values = vectors.cpu().numpy()
        with suppress(DepthClipError):  # without a place to keep them, made each time
            for chunk in range(array.n_chunks):
                frames = array.frames_of(chunk)
                with hold(array, chunk):
                    array.write(chunk, values[frames.start : frames.stop])
    return vectors
