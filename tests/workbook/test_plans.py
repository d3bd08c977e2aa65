import json
from typing import Literal

import nbformat
import pytest

from depthclip_core.errors import DepthClipError
from depthclip_core.workbook.plans import plan


@pytest.fixture
def notebook(tmp_path):
    """A function that writes a notebook with these parameters and returns its path."""

    def notebook(name="a.ipynb", parameters='x: int = 1\nword: str = "w"', kernel="python3"):
        content = nbformat.v4.new_notebook()
        if kernel:
            content.metadata.kernelspec = {"name": kernel, "display_name": kernel}
        cell = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
        content.cells = [cell] if parameters else []
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        nbformat.write(content, path)
        return path

    return notebook


def names(plans):
    return [plan.output.name for plan in plans]


def test_plan_lists_all_parameters(notebook, tmp_path):
    (only,) = plan(notebook(), {"x": 2}, {}, tmp_path / "out")
    assert only.given == {"x": 2} and only.parameters == {"x": 2, "word": "w"}
    assert only.output == tmp_path / "out" / "a--x=2.ipynb" and only.kernel == "python3"
    assert not (tmp_path / "out").exists()


def test_grid_gives_every_combination(notebook, tmp_path):
    paths = [notebook(), notebook("b.ipynb")]
    plans = plan(paths, {}, {"x": [1, 2], "word": ["u", "v"]}, tmp_path / "out")
    expected = [f"{n}--x={x}--word={w}.ipynb" for n in "ab" for x in (1, 2) for w in "uv"]
    assert names(plans) == expected
    as_text = plan(paths, {}, {"x": "1,2", "word": "u,v"}, tmp_path / "out", text=True)
    assert [p.given for p in as_text] == [p.given for p in plans] and names(as_text) == expected


def test_output_names_are_safe(notebook, tmp_path):
    words = ["a/b", "a b", "../x", "", "w" * 300, "é", "{x}"]
    plans = plan(notebook(), {}, {"word": words}, tmp_path / "out")
    assert len(set(names(plans))) == len(words)
    for one in plans:
        assert one.output.parent == tmp_path / "out" and len(one.output.name) < 120
        assert set(one.output.name.removesuffix(".ipynb")) <= set(
            "abcdefghijklmnopqrstuvwxyz0123456789=-_.+,"
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parameters": {"wrod": "a"}}, "a.ipynb: unknown parameter 'wrod': did you mean 'word'"),
        ({"parameters": {"x=1;y": "a"}}, "'x=1;y' cannot be the name of a parameter"),
        ({"parameters": {"x": "1"}}, "a.ipynb: parameter 'x' is int, got '1'"),
        ({"parameters": {"x": "0.5"}, "text": True}, "a.ipynb: parameter 'x' is int, got '0.5'"),
        ({"grid": {"y": [1]}}, "unknown parameter 'y'"),
        ({"grid": {"x": []}}, "'x' has no values"),
        ({"grid": {"x": [1, 1]}}, "'x' has the same value twice"),
        ({"grid": {"x": 1}}, "must be a list"),
        ({"grid": {"word": "ab"}}, "must be a list"),
        ({"grid": {"x": [1]}, "parameters": {"x": 1}}, "both"),
        ({"kernel": "pyhton3"}, "unknown kernel 'pyhton3': did you mean 'python3'"),
    ],
)
def test_invalid_arguments_are_refused(notebook, tmp_path, arguments, message):
    with pytest.raises(DepthClipError, match=message) as raised:
        plan(**{"notebooks": notebook(), "parameters": {}, "grid": {}, **arguments})
    assert "\n" not in str(raised.value)


def test_parameter_must_exist_in_every_notebook(notebook):
    with pytest.raises(DepthClipError, match=r"b\.ipynb: unknown parameter 'x'"):
        plan([notebook(), notebook("b.ipynb", "y: int = 1")], {"x": 1}, {})


def test_invalid_notebooks_are_refused(notebook, tmp_path):
    (tmp_path / "damaged.ipynb").write_text("{\n")
    for paths, message in [
        ([], "no notebook to run"),
        (tmp_path / "none.ipynb", "no notebook .*none.ipynb"),
        (tmp_path / "damaged.ipynb", "damaged.ipynb is not a notebook: "),
        (notebook("untagged.ipynb", parameters=""), "untagged.ipynb has no cell tagged"),
        (notebook("nameless.ipynb", kernel=None), "nameless.ipynb names no kernel"),
        (notebook("other.ipynb", kernel="other"), "other.ipynb: unknown kernel 'other'"),
        ([notebook(), notebook("b/a.ipynb")], "would both write a.ipynb"),
    ]:
        with pytest.raises(DepthClipError, match=message):
            plan(paths, {}, {}, tmp_path / "out")
    assert plan(notebook("other.ipynb", kernel="other"), {}, {}, kernel="python3")


def test_annotations_may_name_given_types(notebook, tmp_path):
    path = notebook(parameters="side: Side = 'left'")
    options = {"out": tmp_path / "out", "types": {"Side": Literal["left", "right"]}}
    (only,) = plan(path, {"side": "right"}, {}, **options)
    assert only.parameters == {"side": "right"}
    with pytest.raises(DepthClipError, match="unknown value of parameter 'side': 'up'"):
        plan(path, {"side": "up"}, {}, **options)
    with pytest.raises(DepthClipError, match="has the type Side, which cannot be set here"):
        plan(path, {"side": "right"}, {})


def test_source_notebook_is_not_overwritten(notebook, tmp_path):
    with pytest.raises(DepthClipError, match="would be overwritten"):
        plan(notebook(), {}, {}, tmp_path)
    assert plan(notebook(), {}, {"x": [1]}, tmp_path)


def test_files_not_written_by_a_run_are_kept(notebook, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a.ipynb", "a.json"):
        (out / name).write_text("{}")
        with pytest.raises(DepthClipError, match=f"{name} was not written by a run"):
            plan(notebook(), {}, {}, out)
        (out / name).unlink()
    (out / "a.ipynb").write_text("{}")
    record = {"notebook": "a.ipynb", "sha256": "", "outcome": "ok"}
    (out / "a.json").write_text(json.dumps(record))
    assert plan(notebook(), {}, {}, out)  # those of an earlier run may be overwritten


def test_grid_of_a_million_runs_is_refused_at_once(notebook, tmp_path):
    path = notebook(parameters="x: int = 1\ny: int = 1")
    thousand = ",".join(map(str, range(1000)))
    with pytest.raises(DepthClipError, match="the grid makes 1,000,000 runs, and at most 10,000"):
        plan(path, {}, {"x": thousand, "y": thousand}, tmp_path, text=True)


@pytest.mark.parametrize("text", ["[" * 10**5, f"[{'9' * 5000}]", "[1e999]", "9" * 5000])
def test_text_beyond_numbers_and_nesting_is_one_line(notebook, tmp_path, text):
    path = notebook(parameters="x: list[float] = [1.0]\ny: float = 1.0")
    for values in ({"x": text}, {"y": text}):
        with pytest.raises(DepthClipError, match="parameter '[xy]' is ") as caught:
            plan(path, values, {}, tmp_path, text=True)
        assert len(str(caught.value)) < 1000
    with pytest.raises(DepthClipError, match="parameter|values of 'x'"):
        plan(path, {}, {"x": text}, tmp_path, text=True)


def test_values_are_checked_together(notebook, tmp_path):
    def check(values):
        if values["x"] == 3:
            raise DepthClipError("x must not be 3")

    with pytest.raises(DepthClipError, match=r"a\.ipynb: x must not be 3"):
        plan(notebook(), {}, {"x": [1, 3]}, tmp_path, check=check)


def made_by(plan, **changes):
    """Leave what a run of this plan leaves: a record, and a notebook with what was set."""
    plan.output.parent.mkdir(exist_ok=True)
    record = {"notebook": plan.notebook.name, "sha256": "", "outcome": "ok"} | changes
    plan.output.with_suffix(".json").write_text(json.dumps(record))
    notebook = nbformat.v4.new_notebook(metadata={"papermill": {"parameters": plan.given}})
    nbformat.write(notebook, plan.output)


def test_results_are_named_by_what_differs_from_the_defaults(notebook, tmp_path):
    path, out = notebook(), tmp_path / "out"
    for given, name in [
        ({}, "a"),
        ({"x": 1, "word": "w"}, "a"),
        ({"word": "v", "x": 2}, "a--x=2--word=v"),
        ({"x": 2, "word": "v"}, "a--x=2--word=v"),
    ]:
        assert names(plan(path, given, {}, out)) == [f"{name}.ipynb"]
    assert names(plan(path, {"x": 2}, {"word": ["w"]}, out)) == ["a--x=2--word=w.ipynb"]


def test_lists_of_numbers_are_named_as_they_are_typed(notebook, tmp_path):
    path = notebook(parameters='bins: list[float] = [1.0]\nwords: list[str] = ["a"]')
    made = plan(path, {"bins": "0.5, 1, 1.50"}, {}, tmp_path / "out", text=True)
    assert names(made) == ["a--bins=0.5,1,1.5.ipynb"]
    by_words = [plan(path, {"words": words}, {}, tmp_path / "out") for words in (["1"], ["1", "2"])]
    assert all("-" in names(made)[0].partition("words=")[2] for made in by_words)  # with its hash


@pytest.mark.parametrize("asked", ["notebooks/00_pipelin.ipynb", "00_pipeline", "pipeline.ipynb"])
def test_missing_notebook_is_compared_with_those_that_exist(tmp_path, monkeypatch, asked):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_pipeline.ipynb").write_text("")
    with pytest.raises(DepthClipError, match="did you mean notebooks/00_pipeline.ipynb?"):
        plan(asked, {}, {})
    with pytest.raises(DepthClipError, match="no notebook else.ipynb$"):
        plan("else.ipynb", {}, {})


def test_long_names_are_cut_and_stay_apart(notebook, tmp_path):
    declared = "\n".join(f'name_{i}: str = ""' for i in range(9))
    values = {f"name_{i}": "é" * 40 + "x" * 40 for i in range(8)}
    path, out = notebook(parameters=declared), tmp_path / "out"
    made = [plan(path, {**values, "name_8": last}, {}, out)[0].output for last in "ab"]
    assert made[0] != made[1]
    assert all(len(output.name.encode()) < 130 for output in made)


def test_the_same_run_again_renews_its_results(notebook, tmp_path):
    for given in ({}, {"x": 1}, {"x": 2}):
        (only,) = plan(notebook(), given, {}, tmp_path / "out")
        made_by(only)
        assert plan(notebook(), given, {}, tmp_path / "out")


def test_results_of_another_notebook_are_kept(notebook, tmp_path):
    (only,) = plan(notebook(), {}, {}, tmp_path / "out")
    made_by(only, notebook="elsewhere/a.ipynb")
    with pytest.raises(DepthClipError, match="was made from elsewhere/a.ipynb: choose another"):
        plan(notebook(), {}, {}, tmp_path / "out")
    made_by(only, notebook=f"…/{tmp_path.name}/a.ipynb")
    assert plan(notebook(), {}, {}, tmp_path / "out")


def test_results_of_other_parameters_are_kept_whatever_their_name(notebook, tmp_path):
    (only,) = plan(notebook(), {}, {}, tmp_path / "out")
    only.given["word"] = "other"  # as versions wrote that did not put it into the name
    made_by(only)
    with pytest.raises(DepthClipError, match="was made with word 'other', not 'w': choose"):
        plan(notebook(), {}, {}, tmp_path / "out")


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", "{}", "\xff"])
def test_damaged_records_are_not_taken_for_a_run(notebook, tmp_path, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.json").write_text(content)
    with pytest.raises(DepthClipError, match="a.json was not written by a run"):
        plan(notebook(), {}, {}, tmp_path / "out")


def test_home_is_meant_by_a_tilde(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (only,) = plan(notebook(), {}, {}, "~/out")
    assert only.output == tmp_path / "home" / "out" / "a.ipynb"
