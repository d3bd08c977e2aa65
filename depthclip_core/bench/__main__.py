"""`python -m depthclip_core.bench README.md` puts the stored rows' table into that file."""

import sys
from pathlib import Path

from depthclip_core.bench import load, write_readme

write_readme(Path(sys.argv[1]), load())
