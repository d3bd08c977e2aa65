import os
import re
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from depthclip_core import checkout
from depthclip_core.cli.main import app, main
from depthclip_core.errors import DepthClipError
from depthclip_core.workbook import plans, runs

ROOT = Path(__file__).resolve().parents[2]


# --- run and report -----------------------------------------------------------------------------


@pytest.fixture
def notebook(tmp_path):
    """A notebook with three parameters whose last cell fails if x is 0."""
    content = nbformat.v4.new_notebook()
    content.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    source = 'x: int = 1\nword: str = "w"\nbins: list[float] = []'
    content.cells = [
        nbformat.v4.new_markdown_cell("# Title\n\nWhat?"),
        nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("1 // x"),
    ]
    nbformat.write(content, tmp_path / "a.ipynb")
    return tmp_path / "a.ipynb"


@pytest.fixture
def asked(monkeypatch):
    """The arguments that `depthclip run` passes to `plans.plan`; nothing is run."""
    calls = []
    monkeypatch.setattr(plans, "plan", lambda *args, **options: calls.append((args, options)) or [])
    monkeypatch.setattr(runs, "run", lambda *_, **__: [])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return calls


@pytest.mark.parametrize(
    ("arguments", "parameters", "grid"),
    [
        ([], {}, {}),
        (["-p", "x", "-1", "-p", "word", "a=b"], {"x": "-1", "word": "a=b"}, {}),
        (["-p", "x=2", "-g", "word", "a,b"], {"x": "2"}, {"word": "a,b"}),
        (
            ["--parameter", "word", "", "--grid", "bins", "[[1], [2]]"],
            {"word": ""},
            {"bins": "[[1], [2]]"},
        ),
        (["-p", "word", "--out", "-g", "x", "1,2"], {"word": "--out"}, {"x": "1,2"}),
    ],
)
def test_run_accepts_pairs_in_both_forms(asked, notebook, arguments, parameters, grid):
    answer = CliRunner().invoke(app, ["run", *arguments, str(notebook)])
    assert answer.exit_code == 0, answer.output
    ((given, options),) = asked
    assert given == ([notebook], parameters, grid, Path("results/runs"))
    assert options["text"] and options["kernel"] is None


def test_random_weights_are_said_once_before_the_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "run", lambda *_, **__: [])
    arguments = ["-p", "encoder", "RN50", "-g", "temperature", "0.1,1.0", "--out", str(tmp_path)]
    answer = CliRunner().invoke(app, ["run", *arguments, str(ROOT / "notebooks/02_results.ipynb")])
    assert answer.exit_code == 0, answer.output
    assert answer.stderr.count("RN50 has random weights") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "x"], "-p needs a name and a value"),
        (["-p", "x", "1", "-p", "x", "2"], "'x' is given twice"),
        (["-p", "wrod", "a"], "unknown parameter 'wrod': did you mean 'word'?"),
        (["-p", "x", "0.5"], "parameter 'x' is int, got '0.5'"),
        (["-k", "none"], "unknown kernel 'none'"),
    ],
)
def test_run_refuses_bad_input_in_one_line(
    notebook, tmp_path, capsys, monkeypatch, arguments, message
):
    monkeypatch.setattr(
        sys, "argv", ["depthclip", "run", str(notebook), "--out", str(tmp_path / "out"), *arguments]
    )
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        main()
    signal.signal(signal.SIGTERM, before)
    said = capsys.readouterr()
    assert ended.value.code == 1 and said.out == "" and not (tmp_path / "out").exists()
    (line,) = said.err.splitlines()
    assert line.startswith("depthclip: ") and message in line


@pytest.mark.slow
def test_failed_run_is_reported_and_shown_in_a_report(notebook, tmp_path):
    out = tmp_path / "out"
    answer = depthclip("run", str(notebook), "-g", "x", "0,1", "--workers", "2", "--out", str(out))
    assert answer.returncode == 1
    assert re.search(r"^[12] of 2: ok +a--x=1, ", answer.stdout, re.MULTILINE)
    failure = "FAILED: a--x=0: cell 3 (`1 // x`): ZeroDivisionError"
    assert failure in answer.stdout and failure in answer.stderr
    assert "1 of 2 runs failed" in answer.stderr and "Traceback" not in answer.stderr
    assert len(list(out.glob("*.json"))) == 2

    executed = [str(path) for path in sorted(out.glob("*.ipynb"))]
    answer = depthclip("report", *executed, "--out", str(tmp_path / "report"))
    assert answer.returncode == 0 and answer.stderr == ""
    index = Path(answer.stdout.strip())
    assert index == tmp_path / "report" / "index.html"
    assert "ZeroDivisionError" in index.read_text("utf-8")


def test_report_needs_executed_notebooks(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments, message in [([], "make run"), ([str(notebook)], "has not been run")]:
        answer = CliRunner().invoke(app, ["report", *arguments])
        assert isinstance(answer.exception, DepthClipError) and message in str(answer.exception)
    assert not (tmp_path / "results").exists()


# --- the command itself -------------------------------------------------------------------------


def depthclip(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from depthclip_core.cli.main import main; main()", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command():
    runner = CliRunner()
    shown = runner.invoke(app, ["--help"]).output
    assert [name for name in ("run", "report", "store") if f"  {name} " not in shown] == []
    shown = runner.invoke(app, ["store", "--help"]).output
    assert [name for name in ("list", "verify", "prune") if f"  {name} " not in shown] == []


def test_version_names_the_commit_where_it_is_known(monkeypatch):
    shown = CliRunner().invoke(app, ["--version"])
    version = re.escape(metadata.version("depthclip-workbook"))
    assert shown.exit_code == 0
    known = r"(, commit [0-9a-f]{12}( and changes)?)?"
    assert re.fullmatch(rf"depthclip {version}{known}\n", shown.output)
    monkeypatch.setattr(checkout, "checkout_folder", lambda: None)
    shown = CliRunner().invoke(app, ["--version"])
    assert re.fullmatch(rf"depthclip {version}\n", shown.output)


def test_command_starts_without_torch():
    code = "import sys, depthclip_core.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_cannot_be_printed_is_one_line():
    code = "from depthclip_core.cli.main import main; main()"
    with open("/dev/full", "w") as full:
        said = subprocess.run(
            [sys.executable, "-c", code, "--version"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert said.returncode == 1
    assert said.stderr == "depthclip: cannot write the output: No space left on device\n"


def test_closed_output_is_no_fault():
    command = [sys.executable, "-c", "from depthclip_core.cli.main import main; main()"]
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *command, "--version"]
    said = subprocess.run(closed, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


def test_terminal_without_all_characters_shows_question_marks(tmp_path):
    said = depthclip("store", "list", "--folder", str(tmp_path / "…"), PYTHONIOENCODING="latin-1")
    assert said.returncode == 0 and said.stderr == ""
    assert said.stdout.endswith("/?\n")


def test_errors_show_no_control_characters(tmp_path):
    said = depthclip("report", str(tmp_path / "\x1b[31m.ipynb"))
    assert said.returncode == 1 and said.stderr.isprintable() is False  # for its line break
    assert said.stderr.rstrip("\n").isprintable() and "no notebook" in said.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_signals_end_commands_with_their_number(name):
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "for name in ('SIGHUP', 'SIGQUIT'): signal.signal(getattr(signal, name), signal.SIG_DFL)\n"
        "from depthclip_core.cli import main\n"
        "@main.app.command('wait')\n"
        "def wait():\n"
        "    try:\n"
        "        os.kill(os.getpid(), getattr(signal, sys.argv[2])); time.sleep(60)\n"
        "    finally:\n"
        "        os.kill(os.getpid(), getattr(signal, sys.argv[2])); print('cleaned up')\n"
        "sys.argv = ['depthclip', 'wait', *sys.argv[1:]]\n"
        "main.app.registered_commands[-1].context_settings = {'ignore_unknown_options': True,"
        " 'allow_extra_args': True}\n"
        "main.main()\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, name], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert said.returncode == 128 + getattr(signal, name), said.stderr
    assert said.stdout == "cleaned up\n" and said.stderr == "depthclip: interrupted\n"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ignored_signals_stay_ignored():
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from depthclip_core.cli.signals import raised_signals\n"
        "with raised_signals() as came:\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "print(came)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert said.stdout == "[]\n", said.stderr
