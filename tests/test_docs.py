"""The documents: their code runs, their links lead somewhere, their numbers are the stored ones."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import depthclip_core as dc
from depthclip_core.cli.main import app
from depthclip_core.errors import DepthClipError
from depthclip_core.workbook import readme

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
]
DOCUMENTS += [ROOT / "data" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
by_name = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def blocks(document: Path, language: str) -> list[str]:
    """The code of that language in a document, block by block."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text("utf-8"), re.M | re.S)


def anchors(document: Path) -> set[str]:
    """What links may name in a document: its headings, as Markdown viewers spell them."""
    prose = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.M | re.S)
    headings = [
        re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", h) for h in re.findall(r"^#+ (.+)$", prose, re.M)
    ]
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


# --- links --------------------------------------------------------------------------------------


@by_name
def test_links_lead_to_files_and_headings(document):
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        file, _, part = link.partition("#")
        target = document.parent / file if file else document
        assert target.exists(), link
        if part and target.suffix == ".md":
            assert part in anchors(target), link


def test_every_page_can_be_reached_from_the_readme():
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
            todo += [(page.parent / link).resolve() for link in links]
    assert {page for page in DOCUMENTS if page.name != "README.md"} <= reached


@by_name
def test_modules_and_files_that_are_named_exist(document):
    text = document.read_text("utf-8")
    for path in re.findall(r"`((?:depthclip_core|notebooks|tests|docs)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path


@by_name
def test_commands_and_options_that_are_named_exist(document):
    text = document.read_text("utf-8")
    for line in re.findall(r"(?:bin/|`)depthclip ((?:[^`\n]|\\\n)+)", text):
        words = line.split("#")[0].replace("\\\n", " ").split()
        group = [w for w in words[:2] if re.fullmatch("[a-z]+", w)]
        group = group[:2] if group[:1] in (["store"], ["data"], ["fetch"]) else group[:1]
        shown = CliRunner().invoke(app, [*group, "--help"], terminal_width=200)
        assert shown.exit_code == 0, line
        for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", " ".join(words)):
            assert option in shown.output, (line, option)


# --- code ---------------------------------------------------------------------------------------


def run_code(code: str, folder: Path, package: Path = ROOT, **environment: str):
    """Run Python in a folder, with the package that lies in another."""
    own = {"PYTHONPATH": str(package), "DEPTHCLIP_STORE": str(folder / "store")}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=folder, env=os.environ | own | environment, capture_output=True, text=True
    )


@pytest.mark.slow
def test_the_lines_of_the_readme_run(tmp_path):
    ran = run_code("\n".join(blocks(ROOT / "README.md", "python")), tmp_path)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
def test_the_lines_of_the_other_pages_run(tmp_path):
    for name in ("method.md", "batch.md", "cluster.md"):
        for number, code in enumerate(blocks(ROOT / "docs" / name, "python")):
            ran = run_code(code, tmp_path)
            assert ran.returncode == 0, (name, number, ran.stderr)


@pytest.mark.slow
def test_extensions_are_what_extending_says(tmp_path):
    page = ROOT / "docs" / "extending.md"
    left_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "depthclip_core", tmp_path / "depthclip_core", ignore=left_out)
    own = {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    diffs = blocks(page, "diff")
    assert len(diffs) == 4, "an encoder needs none"
    for diff in diffs:
        applied = subprocess.run(
            ["git", "apply", "-"],
            cwd=tmp_path,
            env=os.environ | own,
            input=diff,
            capture_output=True,
            text=True,
        )
        assert applied.returncode == 0, f"{applied.stderr}\n{diff}"
    ran = run_code("\n".join(blocks(page, "python")), tmp_path, package=tmp_path)
    assert ran.returncode == 0, ran.stderr
    names = "from depthclip_core import choices; from depthclip_core.evaluation import protocols"
    same = "assert set(choices.Scoring.__args__) == set(protocols.PROTOCOLS)"
    assert run_code(f"{names}; {same}", tmp_path, package=tmp_path).returncode == 0


# --- descriptions of data sets --------------------------------------------------------------------


def descriptions() -> dict[str, str]:
    """The TOML blocks of docs/data.md, by the name in their first line."""
    return {
        re.match(r"# ([\w -]+):", text)[1]: text for text in blocks(ROOT / "docs/data.md", "toml")
    }


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        Image.fromarray(array).save(path)


FILES = {
    "TUM RGB-D": ("rgb/1.00.png", "depth/1.01.png", None),
    "7-Scenes": ("chess/seq-01/frame-0.color.png", "chess/seq-01/frame-0.depth.png", None),
    "ScanNet": ("scene0000_00/color/0.jpg", "scene0000_00/depth/0.png", None),
    "DIODE": (
        "indoors/scene_00019/scan_1/a.png",
        "indoors/scene_00019/scan_1/a_depth.npy",
        "indoors/scene_00019/scan_1/a_depth_mask.npy",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_descriptions_in_the_data_page_open_such_folders(name, tmp_path):
    rgb, depth, mask = FILES[name]
    description = descriptions()[name]
    divisor = tomllib.loads(description)["divisor"]
    levels = np.full((48, 64), 2 * divisor, np.float32 if divisor == 1 else np.uint16)
    sizes = (96, 128) if name == "ScanNet" else (48, 64)
    write(tmp_path / rgb, np.full((*sizes, 3), 90, np.uint8))
    write(tmp_path / depth, levels)
    if mask:
        write(tmp_path / mask, np.ones((48, 64), np.uint8))
    if name == "TUM RGB-D":
        (tmp_path / "rgb.txt").write_text(f"# list\n1.00 {rgb}\n")
        (tmp_path / "depth.txt").write_text(f"# list\n1.01 {depth}\n")
    (tmp_path / "pairs.toml").write_text(description)
    frames = dc.open_dataset("pairs", "all", data=tmp_path / "pairs.toml")
    assert len(frames) == 1 and frames[0].rgb.shape == (48, 64, 3)
    assert np.allclose(frames[0].raw_depth, 2)


def test_every_description_is_tested():
    assert set(descriptions()) >= set(FILES)
    for text in blocks(ROOT / "docs/data.md", "toml"):
        tomllib.loads(text)


# --- numbers ------------------------------------------------------------------------------------


def test_results_in_the_readme_are_those_of_the_notebook():
    text = (ROOT / "README.md").read_text("utf-8")
    stored = readme.results_table(ROOT / "notebooks" / "02_results.ipynb")
    assert stored in text, "the README's results are stale: make refresh"


def test_changelog_starts_with_the_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)[1]
    assert first in ("Unreleased", project["version"])


def test_table_between_marks_is_replaced_and_the_rest_kept(tmp_path):
    page = tmp_path / "a.md"
    page.write_text(f"before\n{readme.MARKS[0]}\nold\n{readme.MARKS[1]}\nafter\n")
    readme.write_between(page, readme.MARKS, "new")
    assert page.read_text() == f"before\n{readme.MARKS[0]}\nnew\n{readme.MARKS[1]}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(DepthClipError, match="has no marks"):
        readme.write_between(page, readme.MARKS, "new")


def test_notebook_without_results_is_refused():
    with pytest.raises(DepthClipError, match="run `make refresh`"):
        readme.results_table(ROOT / "notebooks" / "03_visualization.ipynb")


@pytest.mark.parametrize("link", readme.PICTURE.findall((ROOT / "README.md").read_text("utf-8")))
def test_pictures_in_the_readme_are_those_of_the_notebooks(link):
    """nbval compares the notebooks' own with new ones."""
    picture = readme.saved_picture(ROOT / "notebooks", Path(link).stem)
    assert (ROOT / link).read_bytes() == picture, "make refresh puts it there again"


def test_readme_shows_the_explorer():
    text = (ROOT / "README.md").read_text("utf-8")
    assert any(link.endswith("_explorer.png") for link in readme.PICTURE.findall(text))


def test_numbers_and_pictures_of_the_readme_are_renewed(tmp_path):
    (tmp_path / "figures").mkdir()
    page, marks = tmp_path / "README.md", "\n".join(readme.MARKS)
    page.write_text(f"![a map](figures/03_visualization_strip.png)\n\n{marks}\n")
    readme.renew(page, ROOT / "notebooks")
    assert readme.results_table(ROOT / "notebooks" / "02_results.ipynb") in page.read_text("utf-8")
    assert Image.open(tmp_path / "figures" / "03_visualization_strip.png").width > 500
    page.write_text(f"![a map](figures/03_visualization_none.png)\n\n{marks}\n")
    with pytest.raises(DepthClipError, match="no notebook in .* shows 03_visualization_none"):
        readme.renew(page, ROOT / "notebooks")
    assert page.read_text("utf-8").endswith(f"{marks}\n")
