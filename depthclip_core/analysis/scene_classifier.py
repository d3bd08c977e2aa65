"""Scene classification with CLIP: the scene whose sentence is nearest to the photograph."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageOps

from depthclip_core.clip.encoders import Encoder
from depthclip_core.datasets.base import Frame
from depthclip_core.errors import DepthClipError
from depthclip_core.settings import network_window

SCENE_TEMPLATE = "a photo of a {scene}"


def shrink(rgb: np.ndarray, side: int) -> np.ndarray:
    """The middle square of a photograph at a model's resolution, as CLIP prepares its images.

    The shorter side becomes `side` pixels (bicubic). uint8 (H, W, 3) → (side, side, 3).
    """
    picture = ImageOps.fit(Image.fromarray(rgb), (side, side), Image.Resampling.BICUBIC)
    return np.array(picture)


def classify_scenes(
    frames: Sequence[Frame], encoder: Encoder, scenes: Sequence[str], template: str = SCENE_TEMPLATE
) -> np.ndarray:
    """Cosine similarity (B, S) of each frame with each scene's sentence; the largest is the answer.

    scenes: NYU's scene types, such as "living_room", written with blanks in the sentence. White
    borders are left out.
    """
    sentences = [template.format(scene=scene.replace("_", " ")) for scene in scenes]
    text = encoder.encode_text(sentences)
    side = encoder.image_side
    scores = []
    for frame in frames:
        inside = network_window(frame.rgb.shape[:2], frame.content)
        image = encoder.normalise(shrink(frame.rgb[inside.slices], side)[None])
        scores.append(encoder.image_vectors(encoder.features(image)) @ text.T)
    scores = torch.cat(scores).cpu().numpy()
    if not np.isfinite(scores).all():
        raise DepthClipError("the encoder's image or text vectors are not finite")
    return scores
