"""Which scene a photograph shows, as CLIP classifies: by the sentence that is nearest to it."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from depthclip_core.encoders import Encoder
from depthclip_core.frames import PREPARED_WINDOW, Frame
from depthclip_core.settings import FRAME_SHAPE

SCENE_TEMPLATE = "a photo of a {scene}"


def shrink(rgb: np.ndarray, side: int) -> np.ndarray:
    """A whole photograph at a model's resolution: its shorter side becomes `side` pixels (bicubic).

    NYU's white border is left out first. CLIP would keep the middle square only; the towers here
    take any shape, so that nothing of the room is cut off. uint8 (H, W, 3) → (h, w, 3).
    """
    if rgb.shape[:2] == FRAME_SHAPE:
        rgb = rgb[PREPARED_WINDOW.slices]
    height, width = rgb.shape[:2]
    scale = side / min(height, width)
    size = (max(side, round(width * scale)), max(side, round(height * scale)))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def classify_scenes(
    frames: Sequence[Frame], encoder: Encoder, scenes: Sequence[str], template: str = SCENE_TEMPLATE
) -> np.ndarray:
    """Cosine similarity (B, S) of each frame with each scene's sentence; the largest is the answer.

    scenes: NYU's scene types, such as "living_room", written with blanks in the sentence.
    """
    sentences = [template.format(scene=scene.replace("_", " ")) for scene in scenes]
    text = encoder.encode_text(sentences)
    side = encoder.image_side
    scores = []
    for frame in frames:
        image = encoder.normalise(shrink(frame.rgb, side)[None])
        scores.append(encoder.image_vectors(encoder.features(image)) @ text.T)
    return torch.cat(scores).cpu().numpy()
