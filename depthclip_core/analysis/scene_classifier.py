"""Scene classification with CLIP: the scene whose sentence is nearest to the photograph."""

from collections.abc import Sequence

import numpy as np

from depthclip_core.clip.encoders import Encoder
from depthclip_core.datasets.base import Frame, as_dataset
from depthclip_core.encoding.store import Store
from depthclip_core.encoding.vectors import image_vectors, sentence_vectors
from depthclip_core.errors import DepthClipError

SCENE_TEMPLATE = "a photo of a {scene}"


def classify_scenes(
    frames: Sequence[Frame],
    encoder: Encoder,
    scenes: Sequence[str],
    template: str = SCENE_TEMPLATE,
    store: Store | None = None,
) -> np.ndarray:
    """Cosine similarity (B, S) of each frame with each scene's sentence; the largest is the answer.

    scenes: NYU's scene types, such as "living_room", written with blanks in the sentence. White
    borders are left out. store: keeps the vectors of images and sentences; None: the user's.
    """
    sentences = [template.format(scene=scene.replace("_", " ")) for scene in scenes]
    text = sentence_vectors(encoder, sentences, store)
    scores = (image_vectors(frames, encoder, store) @ text.T).cpu().numpy()
    if not np.isfinite(scores).all():
        raise DepthClipError("the encoder's image or text vectors are not finite")
    return scores


def answers(
    frames: Sequence[Frame], encoder: Encoder, store: Store | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The scene type that each frame is given, of those that the frames have, and whether rightly.

    Names (N,) and flags (N,). Raises `DepthClipError` if a frame has no scene type.
    """
    scenes = as_dataset(frames).scenes
    if None in scenes:
        raise DepthClipError(f"frame {scenes.index(None)} has no scene type: none can be checked")
    kinds = np.array(sorted(set(scenes)))
    given = kinds[classify_scenes(frames, encoder, list(kinds), store=store).argmax(axis=1)]
    return given, given == np.array(scenes)
