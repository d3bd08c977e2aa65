"""What says where results were made is not in them."""

import json
import os
from pathlib import Path
from urllib.parse import quote

import nbformat
import pytest

from depthclip_core.workbook.privacy import clean_notebook, clean_values, without_private
from depthclip_core.workbook.report import make_report

HOME = os.path.expanduser("~")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with a space in its name."""
    folder = tmp_path / "my work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return str(folder)


def test_paths_in_the_current_folder_become_relative(here):
    for path in (here, quote(here), quote(here, safe=""), json.dumps(here)[1:-1]):
        assert without_private(f"see {path}/a/b.png, or '{path}'") == "see a/b.png, or '.'"
    assert without_private(f"file://{here}/a.png") == "a.png"
    assert without_private(f"'{here}er/a.png'") == "'…/a.png'", "another folder, of a longer name"


def test_paths_in_the_home_start_with_a_tilde(here):
    assert without_private(f"{HOME}/a b/c, {HOME}") == "~/a b/c, ~"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/mnt/data/nyu/x.mat", "…/x.mat"),
        ("no file /home/jo/x.mat: give another", "no file …/x.mat: give another"),
        ("data = '/media/My Disk/x y.mat'", "data = '…/x y.mat'"),
        ("file:///home/jo/x.py", "…/x.py"),
        ("file://localhost/home/jo/x.py", "…/x.py"),
        (r"C:\Users\jo\x.mat", "…/x.mat"),
        (r"'C:\\Users\\jo\\x.mat'", "'…/x.mat'"),
        ("D:/data/x.mat", "…/x.mat"),
        (r"\\server\share\jo\x.mat", "…/x.mat"),
        ("?path=%2Fhome%2Fjo%2Fa.txt", "?path=…/a.txt"),
        (r"\/home\/jo\/a", "…/a"),
        ('{"a": "/scratch/u/x"}', '{"a": "…/x"}'),
        ("File \x1b[32m/home/jo/x.py\x1b[39m:3", "File \x1b[32m…/x.py\x1b[39m:3"),
        ("File \x1b[1;32m/home/jo/x.py\x1b[39m:3", "File \x1b[1;32m…/x.py\x1b[39m:3"),
        ("<td>/var/lib/x</td>", "<td>…/x</td>"),
    ],
)
def test_of_other_paths_only_the_end_is_left(here, text, shown):
    assert without_private(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://a.org/data/x/y",
        "1/2 km/h, and/or",
        "</var> <br/>",
        r"$A:\alpha$ and \\ \hline",
        "../data/x",
        "data/home/x",
        "Ab+/usr/bin/x9=",
        "/",
        "a\n/\nb",
    ],
)
def test_what_is_no_path_stays(here, text):
    assert without_private(text) == text


def test_values_of_secret_variables_are_named(here, monkeypatch):
    monkeypatch.setenv("HUB_TOKEN", "s3cr/et+val")
    monkeypatch.setenv("DB_PASSWORD", 'quo"ted')
    monkeypatch.setenv("SHORT_TOKEN", "abc")
    monkeypatch.setenv("TOKEN_FILE", "/run/secrets/token")
    monkeypatch.setenv("EDITOR", "nano-editor")
    written = ["s3cr/et+val", quote("s3cr/et+val", safe=""), json.dumps('quo"ted')]
    text = " ".join([*written, "abc nano-editor"])
    shown = '[HUB_TOKEN] [HUB_TOKEN] "[DB_PASSWORD]" abc nano-editor'
    assert without_private(text) == shown
    assert without_private("/run/secrets/token") == "…/token"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw@host/x", "https://[password in an address]@host/x"),
        ("ghp_" + "a" * 36, "[token]"),
        ("hf_" + "A1" * 17, "[token]"),
        ("Bearer abcdefghijklmnop123", "Bearer [token]"),
        ("AKIA" + "A1B2" * 4, "[token]"),
        ("eyJhbGciOiJI.eyJzdWIiOiJx.SflKxwRJSMeK", "[token]"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
            "[private key]",
        ),
    ],
)
def test_tokens_are_recognised_by_their_form(here, text, shown):
    assert without_private(f"x {text} y") == f"x {shown} y"


def test_values_are_cleaned_inside_lists_and_names(here):
    value = {f"{HOME}/a": ["/mnt/a/b", 1, None, {"x": (f"{here}/c",)}]}
    assert clean_values(value) == {"~/a": ["…/b", 1, None, {"x": ["c"]}]}


@pytest.fixture
def executed(here):
    """A notebook that shows paths in every kind of output."""
    at = f"{here}/x and /home/jo/y"
    cell = nbformat.v4.new_code_cell("open('/home/jo/kept')", execution_count=1)
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stderr", text=at),
        nbformat.v4.new_output("error", ename="E", evalue=at, traceback=[at, at]),
        nbformat.v4.new_output(
            "display_data",
            data={"text/plain": at, "text/html": f"<p>{at}</p>", "application/json": {"a": [at]}},
            metadata={"from": at},
        ),
        nbformat.v4.new_output("display_data", data={"image/png": "Ab/tmp/a/b+/usr/bin/x9="}),
    ]
    given = nbformat.v4.new_code_cell(
        "data = '/home/jo/z.mat'", metadata={"tags": ["injected-parameters"]}, execution_count=2
    )
    notebook = nbformat.v4.new_notebook(cells=[cell, given])
    notebook.metadata.papermill = {"input_path": f"{here}/a.ipynb"}
    notebook.metadata.widgets = {"state": {"a": {"state": {"value": at}}}}
    return notebook


def test_notebooks_keep_code_and_pictures_and_no_paths(here, executed):
    before = nbformat.writes(executed)
    cleaned = clean_notebook(executed)
    assert nbformat.writes(executed) == before  # it may still be running
    text = nbformat.writes(cleaned)
    assert here not in text and text.count("/home/jo") == 1
    assert cleaned.cells[0].source == "open('/home/jo/kept')"
    assert cleaned.cells[0].outputs[0].text == "x and …/y"
    assert cleaned.cells[0].outputs[-1].data["image/png"] == "Ab/tmp/a/b+/usr/bin/x9="
    assert cleaned.cells[1].source == "data = '…/z.mat'"


def test_reports_hold_no_paths_even_of_notebooks_that_do(here, executed):
    nbformat.write(executed, "a.ipynb")
    record = {"started": "2026-02-03T00:00:00+00:00", "device": "/home/jo/card"}
    Path("a.json").write_text(json.dumps(record))
    index = make_report(["a.ipynb"], "report", shown=["data"])
    copy = index.parent / "notebooks" / "a.ipynb"
    for text in (index.read_text("utf-8"), copy.read_text("utf-8").replace("/home/jo/kept", "")):
        assert here not in text and "/home/jo" not in text
    assert "data …/z.mat" in index.read_text("utf-8")
