"""Whole commands, ended by a signal at any moment, two at once, on a full and a read-only disk.

Each is a process of its own. Half of the signals come at a moment of its life, half of them exactly
before one of its steps of writing. Afterwards every file under its own name must be one that an
undisturbed run makes, and the same command must then make them all, and leave nothing else.
"""

import hashlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import nbformat
import numpy as np
from fetched_files import CONTENT
from file_server import send, serving
from PIL import Image

import depthclip_core as dc
from depthclip_core.cli.main import main
from depthclip_core.encoding.passes import encode
from depthclip_core.encoding.store import Store
from depthclip_core.errors import DepthClipError
from depthclip_core.fetching import sources
from depthclip_core.workbook import report as workbook_report
from fuzz.cases import Call, case
from fuzz.guard import WRITING, faults_of_message
from fuzz.writers import small_disk

SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]
STEPS = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"}
WHEN = {"started", "seconds", "start_time", "end_time", "duration"}  # of a run
OUT = "out/results"
LATE = 60.0  # seconds in which a signal ends a command, and its kernels


@dataclass
class Command:
    """What is run, and what its files hold that is not different in every run.

    run: in a process of its own. out: its results. comparable: of a file's name and content.
    partial: whether a command that was ended leaves results of which it says that they are.
    kills: how often it is ended in a trial.
    """

    run: Callable[[], object]
    out: Path
    comparable: Callable[[str, bytes], object] = field(default=lambda name, content: content)
    partial: bool = False
    kills: int = 4


def command(out: Path, *arguments: object, **options: object) -> Command:
    """`depthclip` with these arguments."""

    def run() -> None:
        sys.argv = ["depthclip", *map(str, arguments)]
        main()

    return Command(run, out, **options)


# --- the commands, prepared in an empty folder ----------------------------------------------------


def notebook(path: Path, ran: bool) -> Path:
    # Each cell prints the same in every run.
    codes = ["seed = 1", "print(list(range(2000)))", "import time; time.sleep(0.1); seed"]
    cells = [nbformat.v4.new_markdown_cell("# A\n\nWhat?", id="zero")]
    for number, source in enumerate(codes):
        cells.append(nbformat.v4.new_code_cell(source, id=f"cell{number}"))
        cells[-1].execution_count = number + 1 if ran else None
    cells[1].metadata["tags"] = ["parameters"]
    path.parent.mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def plain_run(name: str, content: bytes) -> object:
    """A notebook or its record, without when it ran."""
    found = json.loads(content)
    if name.endswith(".json"):
        return {key: value for key, value in found.items() if key not in WHEN}
    keep = ("cell_type", "source", "outputs", "execution_count")
    return [{key: cell.get(key) for key in keep} for cell in found["cells"]]


def run(folder: Path, stack: ExitStack) -> Command:
    given, out = notebook(folder / "given" / "a.ipynb", ran=False), folder / OUT
    arguments = ["run", given, "--kernel", "python3", "--out", out, "-p", "seed=2"]
    return command(out, *arguments, comparable=plain_run, partial=True, kills=3)


def report(folder: Path, stack: ExitStack) -> Command:
    paths = [notebook(folder / "given" / f"{name}.ipynb", ran=True) for name in "ab"]
    workbook_report.commit = lambda: "abc"  # that of the checkout may change meanwhile
    return command(folder / OUT, "report", *paths, "--out", folder / OUT)


def pairs(folder: Path) -> Path:
    """Four frames with depth; and their maps, a little wrong, in maps/."""
    (folder / "data").mkdir()
    (folder / "maps").mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        depth = random.uniform(1, 6, (40, 60)).astype(np.float32)
        rgb = random.integers(0, 255, (40, 60, 3), np.uint8)
        Image.fromarray(rgb).save(folder / "data" / f"{number}_rgb.png")
        np.save(folder / "data" / f"{number}_depth.npy", depth)
        np.save(folder / "maps" / f"{number}.npy", 1.2 * depth)
    description = folder / "data" / "data.toml"
    description.write_text('rgb = "*_rgb.png"\ndepth = "*_depth.npy"\ndivisor = 1\n')
    return description


def score(folder: Path, stack: ExitStack) -> Command:
    data, out = pairs(folder), folder / OUT
    arguments = ["score", folder / "maps", "--dataset", "pairs", "--data", data, "--out", out]
    return command(out, *arguments, "--protocol", "whole", "--force", kills=2)


def predict(folder: Path, stack: ExitStack) -> Command:
    (folder / "photos").mkdir()
    for level, name in enumerate("ab"):
        picture = np.full((64, 96, 3), 99 + level, np.uint8)
        Image.fromarray(picture).save(folder / "photos" / f"{name}.png")
    arguments = ["predict", folder / "photos", "-o", folder / OUT, "--force", "--device", "cpu"]
    return command(folder / OUT, *arguments, kills=3)


def fetch(folder: Path, stack: ExitStack) -> Command:
    server = stack.enter_context(serving(CONTENT))
    server.script = [send(block=20_000, pause=0.01)] * 1000
    digest = hashlib.md5(CONTENT).hexdigest()
    known = {"checksum": f"md5:{digest}", "size": len(CONTENT)}
    sources.SPLITS = replace(sources.SPLITS, **known)
    arguments = ["fetch", "splits", "--url", server.address, "--out", folder / OUT]
    return command(folder / OUT, *arguments, kills=6)


def encoding(folder: Path, stack: ExitStack) -> Command:
    frames = dc.open_dataset("pairs", data=pairs(folder))
    encoder = dc.load_encoder("sample", device="cpu")
    out = folder / OUT

    def comparable(name: str, content: bytes) -> object:
        return None if name.startswith("depthclip-") else content  # notes, which only save time

    def run() -> None:
        try:
            encode(frames, encoder, ["released", "value"], store=Store(out), progress=False)
        except DepthClipError as error:
            print(f"depthclip: {error}")
            sys.exit(1)

    return Command(run, out, comparable, kills=6)


COMMANDS = [run, report, score, predict, fetch, encoding]


# --- a process, and what is left of it ------------------------------------------------------------


@dataclass
class Ended:
    """How a process ended: its status (128 and the number of a signal), and what it printed."""

    status: int
    printed: str


def start(one: Command, printed: Path, before: Callable[[], object] = lambda: None) -> int:
    """Run a command in a process of its own; returns its number. before: called first there."""
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        for number in SIGNALS[1:]:  # as a terminal starts a command
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)
        descriptor = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))
        before()
        one.run()
        status = 0
    except SystemExit as end:
        status = end.code or 0
    except KeyboardInterrupt:  # before the command hears signals
        status = 128 + signal.SIGINT
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def ended(child: int, printed: Path) -> Ended:
    """Wait for a process."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    text = printed.read_text(errors="replace") if printed.exists() else ""
    return Ended(128 - status if status < 0 else status, text)


class Steps:
    """Counts a process's steps of writing below a folder, and may end it before one of them."""

    def __init__(self, out: Path, number: int = 0, at: int = -1):
        self.out, self.number, self.at, self.count = str(out), number, at, 0

    def __call__(self, event: str, arguments: tuple) -> None:
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if not (opened or event in STEPS) or not str(arguments[0]).startswith(self.out):
            return
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), self.number)


class Trial:
    """A command, what it makes undisturbed, how long that takes and in how many steps."""

    def __init__(self, one: Command):
        self.one, self.out, self.printed = one, one.out, one.out.with_name("printed.txt")
        self.out.parent.mkdir()
        began, counts, told = time.monotonic(), Steps(self.out), self.out.with_name("steps.txt")
        one_counted = replace(one, run=lambda: self._counted(one, counts, told))
        end = ended(
            start(one_counted, self.printed, lambda: sys.addaudithook(counts)), self.printed
        )
        self.seconds = time.monotonic() - began
        assert end.status == 0, end.printed
        self.steps, self.whole = int(told.read_text()), self.contents()
        assert self.steps and self.whole

    @staticmethod
    def _counted(one: Command, counts: Steps, told: Path) -> None:
        try:
            one.run()
        finally:
            told.write_text(str(counts.count))

    def contents(self) -> dict[str, object]:
        """What the files under their own names hold; hidden ones are looked at by `left`."""
        found = {}
        for path in self.out.rglob("*"):
            name = path.relative_to(self.out).as_posix()
            if path.is_file() and f"/{name}".find("/.") < 0 and path.suffix != ".lock":
                found[name] = self.one.comparable(name, path.read_bytes())
        return found

    def left(self) -> list[str]:
        """Hidden files and folders."""
        return [path.name for path in self.out.rglob(".*")]

    def check(self) -> None:
        """No file is half of what it should be."""
        for name, content in self.contents().items():
            if not self.one.partial:
                assert name in self.whole, f"{name} is new"
                assert content == self.whole[name], f"{name} is not what it should be"

    def check_again(self) -> None:
        """The same command makes everything, and leaves nothing else."""
        end = ended(start(self.one, self.printed), self.printed)
        assert end.status == 0, f"the same command fails: {end.printed}"
        assert self.contents() == self.whole, "the second run differs"
        assert self.left() == [], self.left()

    def check_end(self, end: Ended, *statuses: int) -> None:
        """The command said why it ended, in lines of ours."""
        assert end.status in statuses, f"status {end.status}: {end.printed}"
        assert "Traceback" not in end.printed, end.printed
        lines = [line for line in end.printed.splitlines() if line.startswith("depthclip: ")]
        for line in lines:
            assert not faults_of_message(line), line
        assert end.printed.strip() or end.status != 1, "nothing is said"


def processes_of(folder: Path) -> list[int]:
    """Processes whose command names a folder, such as kernels."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


# --- the trouble ----------------------------------------------------------------------------------


def killed(trial: Trial, random: np.random.Generator) -> None:
    """The command is ended by a signal, more than once, over what was left before."""
    number = SIGNALS[random.integers(len(SIGNALS))]
    by_step = random.integers(2)
    steps = Steps(trial.out, number, int(random.integers(1, trial.steps + 1)) if by_step else -1)
    wait = random.uniform(0, trial.seconds)
    child = start(trial.one, trial.printed, lambda: sys.addaudithook(steps))
    if not by_step:
        time.sleep(wait)
        os.kill(child, number)
    end = ended(child, trial.printed)
    trial.check_end(end, 0, 128 + number)
    until = time.monotonic() + LATE
    while (others := processes_of(trial.out.parents[2])) and time.monotonic() < until:
        time.sleep(0.1)
    assert not others, "a kernel goes on"
    trial.check()
    if number == signal.SIGKILL:
        for path in Path(os.environ["TMPDIR"]).glob("tmp*.json"):
            path.unlink()  # how its kernel could be reached


def two_at_once(trial: Trial, random: np.random.Generator) -> None:
    """Two processes write the same files."""
    seconds = random.uniform(0, trial.seconds / 2)
    other = trial.printed.with_name("other.txt")
    children = [(start(trial.one, trial.printed), trial.printed)]
    time.sleep(seconds)
    children.append((start(trial.one, other), other))
    ends = [ended(*child) for child in children]
    for end in ends:
        trial.check_end(end, 0, 1)
    assert 0 in [end.status for end in ends], [end.printed for end in ends]
    assert trial.contents() == trial.whole


def limited(trial: Trial, random: np.random.Generator) -> None:
    """No file of the command may be larger than a few bytes."""
    largest = max(path.stat().st_size for path in trial.out.rglob("*") if path.is_file())
    most = int(random.integers(0, largest))

    def limit() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))

    end = ended(start(trial.one, trial.printed, limit), trial.printed)
    trial.check_end(end, 0, 1)
    trial.check()


def full(trial: Trial, random: np.random.Generator) -> None:
    """The disk is full at any point, or may not be written at all."""
    whole = sum(path.stat().st_size for path in trial.out.rglob("*") if path.is_file())
    size = 4096 * int(random.integers(2, 3 + whole // 4096))
    with small_disk(trial.out, size, read_only=bool(random.integers(2))) as disk:
        if disk is not None:
            end = ended(start(trial.one, trial.printed), trial.printed)
            trial.check_end(end, 0, 1)
            trial.check()
            assert [*trial.out.rglob("*.tmp")] == []


def as_case(make: Callable[[Path, ExitStack], Command]) -> None:
    def prepare(folder: Path, random: np.random.Generator) -> Call:
        stack = ExitStack()
        one = make(folder, stack)

        def call() -> None:
            with stack:
                trial = Trial(one)
                for number in range(one.kills):
                    killed(trial, random)
                    if number % 2 == one.kills % 2 - 1 or number == one.kills - 1:
                        trial.check_again()
                for trouble in (two_at_once, limited, full):
                    trouble(trial, random)
                trial.check_again()

        return call

    prepare.__name__ = f"{make.__name__}_in_trouble"
    case("right", seconds=90.0, starts_programs=True, local_network=True)(prepare)


for make in COMMANDS:
    as_case(make)
