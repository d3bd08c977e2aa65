"""The sample data set on disk: made at first use, made anew when its version has changed."""

from contextlib import contextmanager
from pathlib import Path

from depthclip_core.settings import data_folder


def ensure_sample(folder: Path | None = None, progress: bool = True) -> Path:
    """The folder that holds the sample's two files, rendered first where they are absent or stale.

    Several processes may ask at once: one renders, the others wait for it.
    """
    from depthclip_core.sample.mat import is_current, make_sample  # the renderer, seldom needed

    folder = Path(folder or data_folder() / "sample")
    if not is_current(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f".{folder.name}.lock")):
            if not is_current(folder):  # another process may have made it meanwhile
                make_sample(folder, progress=progress)
    return folder


@contextmanager
def _locked(path: Path):
    """An advisory lock that ends with its process; where the system has none, no lock."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
