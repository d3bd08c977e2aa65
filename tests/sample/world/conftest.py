"""What renders the sample is installed for maintainers only: `make workshop`."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("embreex") else ["test_*.py"]
