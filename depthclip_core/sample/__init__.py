"""The sample: a small rendered world and a miniature CLIP, as they come with this package.

`FRAMES` is a ZIP file of pictures that any viewer opens. The folder `world` made both files; it is
for maintainers, and nothing else imports it.
"""

from pathlib import Path

FRAMES = Path(__file__).parent / "frames.zip"
FRAMES_SHA256 = "1a39f658ff41fb6528503b8852c428b8fcc94b362cc977fecf63ef9b9146111f"

# What lies in the file: a table of the frames, the names of what can be seen, a page about it all,
# and four pictures of each frame.
TABLE, COLUMNS = "frames.csv", ("name", "split", "scene", "room", "seed")
LABEL_NAMES, ABOUT = "labels.txt", "README.txt"
SUFFIXES = {"rgb": "jpg", "depth": "png", "holes": "png", "labels": "png"}


def member(kind: str, name: str) -> str:
    """A picture's place in the file: its kind, of `SUFFIXES`, and its frame's name."""
    return f"{kind}/{name}.{SUFFIXES[kind]}"
