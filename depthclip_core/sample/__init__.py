"""The sample: frames of a small rendered world, and a miniature CLIP.

Both come with this package. `FRAMES` is a ZIP file of pictures that any image viewer opens. The
folder `world` made both; it is for maintainers, and nothing else imports it.
"""

from pathlib import Path

FRAMES = Path(__file__).parent / "frames.zip"
FRAMES_SHA256 = "1a39f658ff41fb6528503b8852c428b8fcc94b362cc977fecf63ef9b9146111f"

# The contents of the ZIP file: a table of the frames, the object names, a readme, and four pictures
# of each frame.
TABLE, COLUMNS = "frames.csv", ("name", "split", "scene", "room", "seed")
LABEL_NAMES, ABOUT = "labels.txt", "README.txt"
SUFFIXES = {"rgb": "jpg", "depth": "png", "holes": "png", "labels": "png"}


def member(kind: str, name: str) -> str:
    """The path of a picture inside the ZIP file; kind: a key of `SUFFIXES`."""
    return f"{kind}/{name}.{SUFFIXES[kind]}"
