"""Each notebook runs from top to bottom, with its own parameters and with others."""

from pathlib import Path

import nbformat
import papermill
import pytest

# What else a notebook is run with: its name without `.ipynb` → sets of parameters.
EXTRA: dict[str, list[dict[str, object]]] = {}

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
RUNS = [
    pytest.param(path, chosen, id=f"{path.stem}{list(chosen.items()) if chosen else ''}")
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    for chosen in [{}, *EXTRA.get(path.stem, [])]
]


def test_extra_runs_name_notebooks():
    assert [name for name in EXTRA if not (NOTEBOOKS / f"{name}.ipynb").exists()] == []


@pytest.mark.notebook
@pytest.mark.parametrize(("path", "parameters"), RUNS)
def test_notebook_runs(path, parameters, tmp_path, sample_folder):
    unknown = set(parameters) - set(papermill.inspect_notebook(path))
    assert not unknown, f"{path.name} has no parameters {unknown}"  # papermill would only warn

    result = tmp_path / path.name
    papermill.execute_notebook(
        path,
        result,
        parameters,
        kernel_name="python3",
        cwd=path.parent,
        progress_bar=False,
    )

    ran = nbformat.read(result, as_version=4)
    code = [cell for cell in ran.cells if cell.cell_type == "code" and cell.source.strip()]
    assert all(cell.execution_count for cell in code)
    assert "error" not in {output.output_type for cell in code for output in cell.outputs}
    assert widget_errors(ran) == []


def widget_errors(ran) -> list[str]:
    """Errors inside Output widgets, which papermill does not see."""
    state = ran.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    return [
        output["evalue"]
        for model in state.get("state", {}).values()
        for output in model.get("state", {}).get("outputs", [])
        if output["output_type"] == "error"
    ]
