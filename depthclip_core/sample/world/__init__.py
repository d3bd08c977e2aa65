"""For maintainers: render the sample's frames and pretrain its CLIP.

Nothing outside this folder imports it. It needs the extra `render`: `trimesh`, `embreex` and
`pyoxipng`. Names, colours, materials, profiles, scene types and captions are data, in `world.toml`.
"""

import tomllib
from pathlib import Path

DATA = tomllib.loads((Path(__file__).parent / "world.toml").read_text(encoding="utf-8"))
