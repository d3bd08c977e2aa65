import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from depthclip_core.errors import DepthClipError
from depthclip_core.workbook import records, runs

ROOT = Path(__file__).resolve().parents[2]
DECLARED = "x: int = 1  # x = 1 is usual\nname: str | None = None\ndevice: str = 'cpu'"
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


def write(folder, name, declared=DECLARED):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    parameters = nbformat.v4.new_code_cell(declared, metadata={"tags": ["parameters"]})
    cells = [nbformat.v4.new_code_cell(source) for source in NOTEBOOKS[name]]
    content.cells = [nbformat.v4.new_markdown_cell("# Title\n\nWhat?"), parameters, *cells]
    path = folder / f"{name}.ipynb"
    nbformat.write(content, path)
    return path


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Every notebook run once, the good one over a grid, two at a time: runs by their name."""
    folder = tmp_path_factory.mktemp("runs {x}")  # braces, which papermill would fill
    out = folder / "out"
    paths = [write(folder, name) for name in NOTEBOOKS if name != "good"]
    found = runs.run(paths, out=out, workers=2, timeout=3)
    found += runs.run(write(folder, "good"), {"name": "a = {b}"}, {"x": [2, 3]}, out, workers=2)
    return {run.output.stem: run for run in found}


def record(run):
    return json.loads(run.record.read_text("utf-8"))


@pytest.mark.slow
def test_each_run_leaves_a_notebook_and_a_record(ended):
    assert list(ended) == [*list(NOTEBOOKS)[1:], "good--x=2", "good--x=3"]
    for name, run in ended.items():
        assert run.output.is_file() and run.record == run.output.with_suffix(".json")
        content = record(run)
        assert content["outcome"] == run.outcome == ("ok" if "good" in name else "failed")
        assert Path(content["notebook"]) == run.notebook
        assert content["parameters"] == run.parameters
        assert content["seconds"] == run.seconds > 0
        assert content["versions"]["python"] == sys.version.split()[0]
        assert set(content["versions"]) == {"python", *records.PACKAGES}
        assert content["device"] not in (None, "", "cpu") and content["commit"]
        assert content["started"][:2] == "20" and content["kernel"] == "python3"
    assert not (run.output.parent / ".part").exists()


@pytest.mark.slow
def test_parameters_arrive(ended):
    for x in (2, 3):
        run = ended[f"good--x={x}"]
        assert run.parameters == {"x": x, "name": "a = {b}", "device": "cpu"}
        (output,) = nbformat.read(run.output, as_version=4).cells[-1].outputs
        figures = run.output.parent / "figures" / run.output.stem
        assert output.text == f"{x} a = {{b}} {figures}\n"
        assert (run.cell, run.source, run.error, record(run)["failed"]) == (None,) * 4
        assert str(run) == f"ok      good--x={x}, {run.seconds:.1f} s"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cell", "source", "error"),
    [
        ("error", 3, "z = y", "ValueError: first"),
        ("dead", 3, "os._exit(1)", "the kernel died"),
        ("slow", 3, "time.sleep(60)", "the cell took more than 3 s"),
        ("left", 3, "sys.exit()", "SystemExit"),
        ("widget", None, None, "in a widget: ZeroDivisionError: division by zero"),
    ],
)
def test_failures_say_where_and_why(ended, name, cell, source, error):
    run = ended[name]
    assert (run.cell, run.source, run.error) == (cell, source, error)
    assert record(run)["failed"] == {"cell": cell, "source": source, "error": error}
    where = f"cell {cell} (`{source}`): " if cell else ""
    assert str(run) == f"FAILED: {name}: {where}{error}"
    shown = runs.error_inside(nbformat.read(run.output, as_version=4))
    assert shown is not None, "whoever opens the notebook sees it too"
    if cell:
        assert shown[0].source.startswith(source)


def test_bad_settings_run_nothing(tmp_path):
    path, out = write(tmp_path, "good"), tmp_path / "out"
    for settings in ({"workers": 0}, {"timeout": 0}, {"parameters": {"y": 1}}):
        with pytest.raises(DepthClipError):
            runs.run(path, out=out, **settings)
    assert not out.exists()


def test_errors_are_found_wherever_they_show():
    notebook = nbformat.v4.new_notebook()
    assert runs.error_inside(notebook) is None
    error = nbformat.v4.new_output("error", ename="E", evalue="a\nb", traceback=[])
    state = {"state": {"1": {"state": {"outputs": [error]}}, "2": {}}}
    notebook.metadata.widgets = {"application/vnd.jupyter.widget-state+json": state}
    assert runs.error_inside(notebook) == (None, "E: a")
    notebook.cells = [nbformat.v4.new_code_cell("1", outputs=[error])]
    assert runs.error_inside(notebook) == (notebook.cells[0], "E: a")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_breaking_off_ends_kernels_and_is_recorded(tmp_path, number):
    begun = tmp_path / "begun"
    slow = write(tmp_path, "slow", f"x: int = 1\nopen({str(begun)!r}, 'w').close()")
    # A shell's background jobs ignore SIGINT, and so may whatever runs this test.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    code += "from depthclip_core.cli.main import main; main()"
    command = [sys.executable, "-c", code, "run", str(slow), "-g", "x", "1,2", "--workers", "1"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "out")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(begun.exists, process)
        time.sleep(0.5)
        kernels = psutil.Process(process.pid).children(recursive=True)
        assert kernels
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "interrupted" in said and "Traceback" not in said
    assert not any(kernel.is_running() for kernel in kernels)
    content = json.loads((tmp_path / "out" / "slow--x=1.json").read_text())
    assert content["outcome"] == "interrupted"
    assert content["failed"]["error"] == "interrupted"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "slow--x=1.ipynb",
        "slow--x=1.json",
    ]


def wait_for(condition, process, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_figures_of_all_runs_may_go_into_one_folder(tmp_path):
    (made,) = runs.run(
        write(tmp_path, "good"), out=tmp_path / "out", figures=tmp_path / "drawn", workers=1
    )
    shown = nbformat.read(made.output, as_version=4).cells[-1].outputs[0].text
    assert shown.split()[-1] == str(tmp_path / "drawn")


def test_a_cell_is_known_by_its_first_statement():
    assert runs._first_statement("# what\n  # why\nx = 1\n") == "x = 1"
    assert runs._first_statement("# only this") == "# only this"
