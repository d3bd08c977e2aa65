import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil
import pytest

from depthclip_core import files
from depthclip_core.errors import DepthClipError
from depthclip_core.files import CannotWrite, claimed
from depthclip_core.workbook import failures, runs
from depthclip_core.workbook.plans import plan

ROOT = Path(__file__).resolve().parents[2]
TAGS = ["parameters", "injected-parameters"]
FACTS = {"place": "'<' + device + '>'", "never": "unknown"}
DECLARED = "x: int = 1  # x = 1 is usual\nname: str | None = None\ndevice: str = 'cpu'"
NAMED = "good--name=a-b-" + hashlib.sha256(b"a = {b}").hexdigest()[:6]
NOTEBOOKS = {
    "good": ["import os", "print(x, name, os.environ['DEPTHCLIP_FIGURES'])"],
    "error": ["y = 2", "z = y\nraise ValueError('first\\nsecond')", "3"],
    "dead": ["import os", "os._exit(1)", "3"],
    "slow": ["import time", "time.sleep(60)", "3"],
    "left": ["import sys", "sys.exit()", "3"],
    "widget": [
        "import ipywidgets\nfrom IPython.display import display\nout = ipywidgets.Output()",
        "display(out)",
        "with out:\n    1 / 0",
    ],
}


def write(folder, name, declared=DECLARED, first=""):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    parameters = nbformat.v4.new_code_cell(declared, metadata={"tags": ["parameters"]})
    sources = [*filter(None, [first]), *NOTEBOOKS[name]]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    content.cells = [nbformat.v4.new_markdown_cell("# Title\n\nWhat?"), parameters, *cells]
    path = folder / f"{name}.ipynb"
    nbformat.write(content, path)
    return path


def run(notebooks, parameters=None, grid=None, *, out, **options):
    planned = plan(notebooks, parameters or {}, grid or {}, out)
    return runs.run(planned, **options)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Run every notebook once, the good one over a grid, two at a time: runs by name."""
    folder = tmp_path_factory.mktemp("runs {x}")
    options = {"out": folder / "out", "workers": 2, "about": {"commit": "abc"}, "facts": FACTS}
    paths = [write(folder, name) for name in NOTEBOOKS if name != "good"]
    found = run(paths, timeout=2.5, **options)
    found += run(write(folder, "good"), {"name": "a = {b}"}, {"x": [2, 3]}, **options)
    return {one.output.stem: one for one in found}


def record(run):
    return json.loads(run.record.read_text("utf-8"))


@pytest.mark.slow
def test_each_run_leaves_a_notebook_and_a_record(ended):
    assert list(ended) == [*list(NOTEBOOKS)[1:], f"{NAMED}--x=2", f"{NAMED}--x=3"]
    for name, run in ended.items():
        assert run.output.is_file() and run.record == run.output.with_suffix(".json")
        content = record(run)
        assert content["outcome"] == run.outcome == ("ok" if "good" in name else "failed")
        assert content["notebook"] == f"…/{run.plan.notebook.name}"
        assert content["parameters"] == run.plan.parameters
        assert content["seconds"] == run.seconds > 0
        assert content["commit"] == "abc" and content["kernel"] == "python3"
        assert content["place"] == "<cpu>" and content["never"] is None
    assert not [path for path in run.output.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_notebooks_carry_the_metadata_of_papermill(ended):
    for name, run in ended.items():
        notebook = nbformat.read(run.output, as_version=4)
        about = notebook.metadata.papermill
        given = {"name": "a = {b}", "x": run.plan.parameters["x"]} if "good" in name else {}
        assert about.parameters == given and about.exception == (run.outcome != "ok")
        assert about.input_path == f"…/{run.plan.notebook.name}"
        assert about.output_path == f"…/{run.output.name}"
        assert about.duration == run.seconds and about.start_time < about.end_time
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        statuses = [cell.metadata.papermill.status for cell in cells]
        if run.outcome == "ok":
            assert [tag for cell in cells for tag in cell.metadata.tags] == TAGS
            assert statuses == ["completed"] * 4
        elif run.cell:
            ended_at = ["completed"] * (run.cell - 1) + ["failed"]
            assert statuses == [*ended_at, "pending"][: len(statuses)]


@pytest.mark.slow
def test_parameters_reach_the_kernel(ended):
    for x in (2, 3):
        run = ended[f"{NAMED}--x={x}"]
        assert run.plan.parameters == {"x": x, "name": "a = {b}", "device": "cpu"}
        (output,) = nbformat.read(run.output, as_version=4).cells[-1].outputs
        place, figures = output.text.removesuffix("\n").split(" …/")
        assert place == f"{x} a = {{b}}" and figures.endswith(f"/figures/{run.output.stem}")
        assert (run.cell, run.source, run.error, record(run)["failed"]) == (None,) * 4
        assert str(run) == f"ok      {NAMED}--x={x}, {run.seconds:.1f} s"


@pytest.mark.slow
def test_a_private_path_reaches_the_kernel_after_other_cells(tmp_path, monkeypatch):
    """Results hide the path; the notebook that runs must not."""
    monkeypatch.chdir(tmp_path)
    notebook = write(tmp_path, "good")
    content = nbformat.read(notebook, 4)
    content.cells.insert(0, nbformat.v4.new_code_cell("'a cell before the parameters'"))
    content.cells[-1].source = "print(name == '/'.join(['', 'scratch', 'nyu']))"
    nbformat.write(content, notebook)
    (ended,) = run(notebook, {"name": "/scratch/nyu"}, out=tmp_path / "out")
    saved = nbformat.read(ended.output, 4)
    assert saved.cells[-1].outputs[0].text == "True\n"
    assert "/scratch" not in ended.output.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cell", "source", "error"),
    [
        ("error", 3, r"raise ValueError('first\nsecond')", "ValueError: first"),
        ("dead", 3, "os._exit(1)", "the kernel died"),
        ("slow", 3, "time.sleep(60)", "the cell took more than 2.5 s"),
        ("left", 3, "sys.exit()", "SystemExit"),
        ("widget", None, None, "in a widget: ZeroDivisionError: division by zero"),
    ],
)
def test_failed_run_names_cell_and_reason(ended, name, cell, source, error):
    run = ended[name]
    assert (run.cell, run.source, run.error) == (cell, source, error)
    assert record(run)["failed"] == {"cell": cell, "source": source, "error": error}
    where = f"cell {cell} (`{source}`): " if cell else ""
    assert str(run) == f"FAILED: {name}: {where}{error}"
    shown = failures.error_inside(nbformat.read(run.output, as_version=4))
    assert shown is not None, "the notebook shows the error too"
    if cell:
        assert source in shown[0].source


def test_invalid_options_start_nothing(tmp_path):
    path, out = write(tmp_path, "good"), tmp_path / "out"
    for settings in (
        {"workers": 0},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"parameters": {"y": 1}},
    ):
        with pytest.raises(DepthClipError):
            run(path, out=out, **settings)
    assert not out.exists()
    with pytest.raises(DepthClipError, match=r"cannot write .*good\.ipynb is a file: choose"):
        run(path, out=path)


def test_error_inside_finds_errors_in_cells_and_widgets():
    notebook = nbformat.v4.new_notebook()
    assert failures.error_inside(notebook) is None
    error = nbformat.v4.new_output("error", ename="E", evalue="a\nb", traceback=[])
    state = {"state": {"1": {"state": {"outputs": [error]}}, "2": {}}}
    notebook.metadata.widgets = {"application/vnd.jupyter.widget-state+json": state}
    assert failures.error_inside(notebook) == (None, "E: a")
    notebook.cells = [nbformat.v4.new_code_cell("1", outputs=[error])]
    assert failures.error_inside(notebook) == (notebook.cells[0], "E: a")


STARTS_OTHERS = """
import os, subprocess
child = subprocess.Popen(["sleep", "600"])
with open(os.environ["BEGUN"] + str(x), "w") as file:
    print(os.getpid(), child.pid, file=file)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("name", "workers"), [("SIGINT", 2), ("SIGTERM", 1), ("SIGHUP", 1), ("SIGQUIT", 2)]
)
def test_signal_ends_kernels_and_is_recorded(tmp_path, name, workers):
    begun, number = tmp_path / "begun", getattr(signal, name)
    slow = write(tmp_path, "slow", first=STARTS_OTHERS)
    # Background jobs of a shell ignore SIGINT, and so may the process that runs this test.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    code += "signal.signal(signal.SIGHUP, signal.SIG_DFL);"
    code += "signal.signal(signal.SIGQUIT, signal.SIG_DFL);"
    code += "from depthclip_core.cli.main import main; main()"
    command = [sys.executable, "-c", code, "run", str(slow), "-g", "x", "1,2"]
    process = subprocess.Popen(
        [*command, "--workers", str(workers), "--out", str(tmp_path / "out")],
        cwd=ROOT,
        env=os.environ | {"BEGUN": str(begun)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    going = [tmp_path / f"begun{x}" for x in range(1, workers + 1)]
    outputs = [f"slow--x={x}.ipynb" for x in range(1, workers + 1)]
    parts = [tmp_path / "out" / f".{output}.part" for output in outputs]
    try:
        wait_for(lambda: all(path.exists() for path in [*going, *parts]), process)
        started = [int(pid) for path in going for pid in path.read_text().split()]
        processes = [psutil.Process(pid) for pid in started]
        process.send_signal(number)
        time.sleep(0.3)
        process.send_signal(number)  # the cleaning up goes on
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + number and "Traceback" not in said
    assert said.count("interrupted") == 1
    # One that nobody has waited for yet is dead.
    assert not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == sorted([*outputs, *(output[:-5] + "json" for output in outputs)])
    for output in outputs:
        content = json.loads((tmp_path / "out" / output).with_suffix(".json").read_text())
        assert content["outcome"] == content["failed"]["error"] == "interrupted"
        cells = nbformat.read(tmp_path / "out" / output, as_version=4).cells
        assert [o.evalue for cell in cells for o in cell.get("outputs", [])] == ["interrupted"]


def wait_for(condition, process, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_figures_option_sets_one_folder_for_all_runs(tmp_path):
    (made,) = run(
        write(tmp_path, "good"), out=tmp_path / "out", figures=tmp_path / "drawn", workers=1
    )
    shown = nbformat.read(made.output, as_version=4).cells[-1].outputs[0].text
    assert shown.split()[-1] == "…/drawn"
    assert runs._figures_folder(made.plan, tmp_path / "drawn") == tmp_path / "drawn"
    (named,) = plan(made.plan.notebook, {"x": 2}, {}, tmp_path / "out")
    assert runs._figures_folder(named, tmp_path / "drawn") == tmp_path / "drawn" / "good--x=2"


def test_failing_line_is_that_of_the_cell_and_not_of_what_it_called():
    colours = "\x1b[31mCell In[4], line 2\x1b[39m\n----> 2 b()\n\nFile a.py:9, in b()"
    error = nbformat.v4.new_output("error", ename="E", evalue="", traceback=["E", colours])
    cell = nbformat.v4.new_code_cell("a()\nb()\nc()", outputs=[error])
    assert failures.failing_line(cell) == "b()"
    error.traceback = ["E", "Cell In[4], line 9"]
    assert failures.failing_line(cell) == "a()"
    cell.outputs = []
    assert failures.failing_line(cell) == "a()"


@pytest.mark.slow
def test_progress_says_what_begins_and_counts(tmp_path, capsys):
    path, out = write(tmp_path, "good"), tmp_path / "out"
    run(path, grid={"x": [2, 3]}, out=out, workers=2, progress=True)
    first, *ended = capsys.readouterr().out.splitlines()
    assert first == f"running 2 notebooks, 2 at a time, into {runs.shown_path(out)}/"
    assert [line[:8] for line in ended] == ["1 of 2: ", "2 of 2: "]
    run(write(tmp_path, "error"), out=out, progress=True)
    (only,) = capsys.readouterr().out.splitlines()
    assert only == f"running 1 notebook into {runs.shown_path(out)}/"


def test_first_statement_skips_comments():
    assert failures.first_statement("# what\n  # why\nx = 1\n") == "x = 1"
    assert failures.first_statement("# only this") == "# only this"


@pytest.mark.slow
def test_outputs_of_an_earlier_run_are_dropped(tmp_path):
    path = write(tmp_path, "error")
    content = nbformat.read(path, as_version=4)
    content.cells[-1].outputs = [nbformat.v4.new_output("stream", text="old")]
    content.cells[-1].execution_count = 9
    content.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    nbformat.write(content, path)
    (made,) = run(path, out=tmp_path / "out")
    ran = nbformat.read(made.output, as_version=4)
    assert ran.cells[-1].outputs == [] and ran.cells[-1].execution_count is None
    assert "widgets" not in ran.metadata
    assert nbformat.read(path, as_version=4) == content


@pytest.mark.slow
def test_results_that_another_process_writes_are_kept(tmp_path):
    planned = plan(write(tmp_path, "good"), {}, {"x": [1, 2]}, tmp_path / "out")
    with claimed(planned[0].output):
        with pytest.raises(DepthClipError, match="x=1.ipynb is being written by another process"):
            runs.run(planned, workers=1)
    assert not (tmp_path / "out").exists()
    planned = plan(write(tmp_path, "good"), {}, {"x": [1]}, tmp_path / "out")
    with pytest.MonkeyPatch.context() as patch:
        # Another process begins between the check and the start.
        taken = iter([False, True])
        patch.setattr(runs, "claimed", lambda path: taken_by(path, taken))
        (made,) = runs.run(planned, workers=1)
    assert made.outcome == "failed" and "another process" in made.error
    assert not (tmp_path / "out").exists()


@contextmanager
def taken_by(path, taken):
    if next(taken):
        raise CannotWrite(f"{path} is being written by another process")
    yield


@pytest.mark.slow
def test_full_disk_leaves_the_run_as_far_as_it_got(tmp_path, monkeypatch):
    """Notebooks above a size do not fit; the record and the cells before do."""
    path = write(tmp_path, "good", first="print('x' * 20_000)")
    real = files._write

    def limited(part, content):
        if len(content) > 10_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(part, content)

    monkeypatch.setattr(files, "_write", limited)
    (made,) = run(path, out=tmp_path / "out", workers=1)
    assert made.outcome == "failed" and made.cell == 2
    assert "No space left on device: free some space" in made.error
    shown = "cannot write …/.good.ipynb.part: No space left on device"
    assert record(made)["failed"]["error"].startswith(shown)
    cells = nbformat.read(made.output, as_version=4).cells
    (only,) = [o.evalue for cell in cells for o in cell.get("outputs", [])]
    assert only.startswith(shown)
    assert len(list((tmp_path / "out").iterdir())) == 2
    monkeypatch.setattr(files, "_write", lambda *_: limited("", " " * 20_000))
    (made,) = run(path, out=tmp_path / "none", workers=1)
    assert made.outcome == "failed" and "No space left" in made.error
    assert not (tmp_path / "none").exists()
