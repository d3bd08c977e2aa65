"""Whatever writes files, killed at any moment, on a full disk, and where it may not write.

Each writer makes one of two versions of its files. Afterwards every file under its own name must
be, byte by byte, one that a writer without trouble makes; and a second try must make them all.
"""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
from PIL import Image

from depthclip_core import bench, saved_scores
from depthclip_core.cli.data import write_sheet
from depthclip_core.clip.encoders import load_encoder
from depthclip_core.clip.library import load_open_clip
from depthclip_core.datasets import Frame, FrameList
from depthclip_core.encoding.locks import hold
from depthclip_core.encoding.store import Store
from depthclip_core.errors import DepthClipError
from depthclip_core.evaluation.saved_predictions import save_predictions
from depthclip_core.method.photo_depths import resolve_setting
from depthclip_core.plots.style import save_figure
from depthclip_core.rescoring.report import score_saved_maps
from depthclip_core.saved_depths import plan_files, save_depths
from depthclip_core.temporaries import is_temporary
from depthclip_core.workbook import report as workbook_report
from depthclip_core.workbook.plans import Plan
from depthclip_core.workbook.records import save_run
from fuzz.cases import Call, case
from fuzz.guard import faults_of_message

load_open_clip()  # takes seconds: once, not in every trial
Write = Callable[[Path, int], object]  # a folder, and which of the two versions to write
TIMES = 8  # that a writer gets into trouble in a trial, and a slow one
SLOW_TIMES = 3
NOBODY = 65534
STARTED = datetime(2026, 1, 2, tzinfo=UTC)
FRAMES = [
    Frame(f"f{i}", np.full((30, 40, 3), i, np.uint8), truth, truth, "room", f"room {i}")
    for i, truth in enumerate(np.random.default_rng(0).uniform(1, 6, (6, 30, 40)).astype("f4"))
]


# --- the writers, made in an empty folder ---------------------------------------------------------


def predictions(_: Path) -> Write:
    maps = [[np.full((120, 160), version + i, np.float32) for i in range(4)] for version in (0, 1)]
    return lambda out, version: save_predictions(out, "abcd", maps[version], overwrite=True)


def figures(_: Path) -> Write:
    def write(out: Path, version: int) -> None:
        os.environ["DEPTHCLIP_FIGURES"] = str(out)
        figure, ax = plt.subplots(figsize=(2, 2))
        ax.plot([0, version])
        save_figure(figure, "a", "b")
        plt.close(figure)

    return write


def runs(folder: Path) -> Write:
    def write(out: Path, version: int) -> None:
        output = nbformat.v4.new_output("stream", text=f"{version}\n" * 3000)
        cell = nbformat.v4.new_code_cell("1", id="one", outputs=[output], execution_count=1)
        notebook = nbformat.v4.new_notebook(cells=[cell])
        plan = Plan(folder / "a.ipynb", notebook, out / "a.ipynb", "python3", {}, {})
        save_run(plan, notebook, STARTED, {"seconds": version, "outcome": "ok"})

    return write


def report(folder: Path) -> Write:
    ran = folder / "ran"
    ran.mkdir()
    for name in "ab":
        cells = [nbformat.v4.new_markdown_cell(f"# {name}\n\nWhat?", id="zero")]
        cells += [nbformat.v4.new_code_cell("1", id="one", execution_count=1)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), ran / f"{name}.ipynb")
    paths = sorted(ran.iterdir())
    workbook_report.commit = lambda: "abc"  # that of the checkout may change meanwhile
    return lambda out, version: workbook_report.make_report(paths, out, title=f"{version}")


def store(_: Path) -> Write:
    def write(out: Path, version: int) -> None:
        array = Store(out).array({"kind": "trial"}, 40)
        for chunk in range(array.n_chunks):
            values = np.full((len(array.frames_of(chunk)), 5000), version, np.float32)
            with hold(array, chunk):
                array.write(chunk, values)

    return write


def scores(folder: Path) -> Write:
    names = [frame.name for frame in FRAMES]
    found = []
    for version in (0, 1):
        maps = folder / f"maps{version}"
        save_predictions(maps, names, [f.raw_depth * (1.2 + version) for f in FRAMES])
        found.append(score_saved_maps(maps, FrameList(FRAMES), protocols=["whole"]))
    saved_scores._picture = lambda figure: plt.close(figure) or "picture"  # drawing takes seconds
    pages = [saved_scores.html_page(one) for one in found]
    saved_scores.html_page = lambda one: pages[found.index(one)]
    return lambda out, version: saved_scores.write_scores(found[version], out, overwrite=True)


def depths(folder: Path) -> Write:
    photos = folder / "photos"
    photos.mkdir()
    for name in "ab":
        Image.fromarray(np.full((64, 96, 3), 99, np.uint8)).save(photos / f"{name}.png")
    encoder = load_encoder("sample", device="cpu")
    settings = [resolve_setting(bins=bins) for bins in ("original", "class-dependent-1")]

    def write(out: Path, version: int) -> None:
        planned = plan_files(photos, out, overwrite=True)
        faults = [fault for _, fault in save_depths(planned, encoder, settings[version])]
        assert faults == [None, None]

    return write


def sheet(_: Path) -> Write:
    lists = [FrameList(FRAMES[:1]), FrameList(FRAMES[1:2])]
    return lambda out, version: write_sheet(lists[version], out / "sheet.png", overwrite=True)


def row(_: Path) -> Write:
    about = {"device": "a", "cores": 2, "kind": "cpu"}
    content = {"format": bench.FORMAT, "machine": about, "rounds": [0.5] * 5000}
    return lambda out, version: bench.save(content | {"version": version}, out)


WRITERS = {
    one.__name__: one
    for one in (predictions, figures, runs, report, store, scores, depths, sheet, row)
}
SLOW = {"depths", "sheet", "scores", "report"}
ONE_BY_ONE = {"figures", "store", "depths"}  # leave what was done before the trouble


# --- what is left of them -----------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    """The files under their own names, without the locks of a store."""
    found = [path for path in folder.rglob("*") if path.is_file() and not is_temporary(path)]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in found
        if path.suffix != ".lock"
    }


def temporary(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and is_temporary(path)]


class Trial:
    """A writer, what its two versions look like, and the folder that trials write into."""

    def __init__(self, make: Callable[[Path], Write], folder: Path):
        self.write, self.out = make(folder), folder / "out"
        self.name = make.__name__
        self.times = SLOW_TIMES if self.name in SLOW else TIMES
        self.versions, self.seconds = [], 0.0
        for version in (0, 1):
            started = time.monotonic()
            # In one place, so that the files' own paths are equal; made again below.
            self.write(self.out / "x", version)
            self.seconds = time.monotonic() - started
            self.versions.append(contents(self.out / "x"))
        assert self.versions[0].keys() == self.versions[1].keys() and all(self.versions)

    def check(self, folder: Path) -> None:
        """Each file is of one version or the other."""
        for name, content in contents(folder).items():
            of = [version.get(name) for version in self.versions]
            assert content in of, f"{name} is of neither version: {len(content)} bytes"

    def check_again(self) -> None:
        """A second try writes everything."""
        for version in (1, 0):
            self.write(self.out / "x", version)
            assert contents(self.out / "x") == self.versions[version], "the second try differs"


def killed(trial: Trial, random: np.random.Generator) -> Call:
    """The writer is killed while it writes the one version over the other, again and again."""

    def call() -> None:
        for _ in range(trial.times):
            wait = random.uniform(0, 0.1 + 2 * trial.seconds)
            child = os.fork()
            if child == 0:
                with suppress(BaseException):
                    version = 0
                    while True:
                        version = 1 - version
                        trial.write(trial.out / "x", version)
                os._exit(1)
            time.sleep(wait)
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "the writer ended before it was killed"
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            trial.check(trial.out / "x")
        trial.check_again()

    return call


def refused(trial: Trial, folder: Path) -> bool:
    """Whether a writer fails, with a good line and nothing left; else it has written everything."""
    before, left = contents(folder), temporary(folder)
    try:
        trial.write(folder, 1)
    except DepthClipError as error:
        assert not faults_of_message(str(error)), str(error)
        trial.check(folder)
        if trial.name not in ONE_BY_ONE:
            assert contents(folder) == before, "files were changed or left"
        assert temporary(folder) == left, "temporary files were left"
        return True
    assert contents(folder) == trial.versions[1]
    return False


def limited(trial: Trial, random: np.random.Generator) -> Call:
    """No file may be larger than a few bytes, as where a quota ends."""

    def call() -> None:
        largest = max(len(content) for version in trial.versions for content in version.values())
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        refusals = 0
        for _ in range(trial.times):
            most = int(random.integers(0, largest + largest // 4))
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
            try:
                refusals += refused(trial, trial.out / "x")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert refusals
        trial.check_again()

    return call


@contextmanager
def small_disk(folder: Path, size: int, read_only: bool = False):
    """A file system of a few kB at a folder; None where it cannot be mounted."""
    folder.mkdir(exist_ok=True)
    options = f"size={size}{',ro' if read_only else ''}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def full(trial: Trial, random: np.random.Generator) -> Call:
    """The disk is full at any point."""

    def call() -> None:
        whole = sum(len(content) for content in trial.versions[0].values())
        for _ in range(trial.times // 3):
            size = 4096 * int(random.integers(2, 4 + 2 * whole // 4096))
            with small_disk(trial.out / "disk", size) as disk:
                if disk is None:
                    return
                refused(trial, disk / "x")
        trial.check_again()

    return call


def forbidden(trial: Trial, random: np.random.Generator) -> Call:
    """Another user, who may read the files and not write them."""
    for place in [trial.out, *trial.out.parents]:
        if place.stat().st_uid == os.geteuid():
            place.chmod(place.stat().st_mode | 0o011)

    def call() -> None:
        if os.geteuid() != 0:
            return  # nobody else can become another user
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            assert refused(trial, trial.out / "x")
            assert refused(trial, trial.out / "new")
        finally:
            os.seteuid(0)
            os.setegid(0)

    return call


def as_case(make: Callable[[Path], Write], trouble: Callable) -> None:
    def prepare(folder: Path, random: np.random.Generator) -> Call:
        return trouble(Trial(make, folder), random)

    prepare.__name__ = f"{make.__name__}_{trouble.__name__}"
    seconds = 60.0 if make.__name__ in SLOW else 20.0
    case("right", seconds=seconds, starts_programs=True)(prepare)


for one in WRITERS.values():
    for trouble in (killed, limited, full, forbidden):
        as_case(one, trouble)
