"""The renderer's dependencies are installed for maintainers only, by `make workshop`."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("embreex") else ["test_*.py"]
