"""`python -m depthclip_core.bench docs/speed.md` puts the stored rows' table into that file."""

import sys
from pathlib import Path

from depthclip_core.bench import load, write_table

write_table(Path(sys.argv[1]), load())
