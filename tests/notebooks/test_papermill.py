"""Each notebook runs from top to bottom with other parameters; nbval runs it with its own."""

import re
from pathlib import Path

import nbformat
import numpy as np
import papermill
import pytest
from PIL import Image

# A few frames in NYU's own layout stand for NYU; names in braces are fixtures.
AS_NYU = {"dataset": "nyu", "data": "{nyu_folder}", "head": "released"}
SAME = {name: AS_NYU[name] for name in ("dataset", "data")}  # for notebooks of both heads
# At full size a network needs a second a frame, so that few notebooks run it.
RN50 = {"encoder": "RN50", "weights": "{rn50_weights}"}

# The parameters of further runs: name of the notebook without `.ipynb` → sets of parameters.
EXTRA: dict[str, list[dict[str, object]]] = {
    "000_start_here": [SAME],
    "00_pipeline": [
        {**AS_NYU, **RN50, "frame": 3},
        {"head": "attention", "prompts": "near, far", "bins": [1.0, 2.5], "split": "train"},
    ],
    "01_semantic_bins": [
        {**AS_NYU, "frame": 100, "prompts": "close, medium, far", "bins": "1, 2, 4"}
    ],
    "02_results": [{**AS_NYU, "prompts": "prompt-1", "temperature": 1.0}],
    "03_visualization": [{**AS_NYU, "metric": "delta1"}],
    "04_depth_gap": [{**AS_NYU, "scene_2": "kitchen"}],
    "05_class_bins": [{**AS_NYU, "metric": "rmse", "searched": "bathroom"}],
    "06_prompts": [{**AS_NYU, "prompts": "prompt-1"}],
    "07_ledger": [{**AS_NYU, **RN50}],
    "08_learned_bins": [{**AS_NYU, "metric": "rmse", "kind": "least-squares", "n_folds": 3}],
    "09_regional_features": [{**SAME, "larger": [1.5], "n_random": 3}],
    "10_ceilings": [{**AS_NYU, "prompts": "close, far", "bins": "1, 3"}],
    "11_nulls": [
        {**AS_NYU, "prompts": "near, far, unseen", "bins": "1, 2, 4", "lists": 4, "halves": 6}
    ],
    "12_failures": [{**AS_NYU, "threshold": 1.1}],
    "13_word_search": [{**AS_NYU, "most": 4, "size": 3, "searches": 2, "metric": "rmse"}],
    "14_sensitivity": [
        {**AS_NYU, "metric": "rmse", "prompts": "near, middle, far", "bins": "1, 2, 4"}
    ],
    "15_protocols": [{**AS_NYU, "metric": "rmse", "before": "adabins", "after": "marigold"}],
    "16_your_photo": [
        {"head": "released", "prompts": "near, far", "bins": "1, 2.5", "first": 70, "most": 1}
    ],
    "20_findings": [SAME],
}

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
RUNS = [
    pytest.param(path, chosen, id=f"{path.stem}{list(chosen.items()) if chosen else ''}")
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    for chosen in EXTRA.get(path.stem, [{}])
]


@pytest.fixture(autouse=True)
def figures_elsewhere(tmp_path, monkeypatch):
    """Kernels inherit this: tests draw into a folder of their own."""
    monkeypatch.setenv("DEPTHCLIP_FIGURES", str(tmp_path / "figures"))


def test_extra_runs_name_existing_notebooks():
    assert [name for name in EXTRA if not (NOTEBOOKS / f"{name}.ipynb").exists()] == []


@pytest.mark.notebook
@pytest.mark.parametrize(("path", "parameters"), RUNS)
def test_notebook_runs(path, parameters, tmp_path, request):
    parameters = {
        name: str(request.getfixturevalue(value[1:-1])) if str(value).startswith("{") else value
        for name, value in parameters.items()
    }
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


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of two photographs of different sizes."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name, shape in {"a": (6, 9), "b": (9, 7)}.items():
        photo = np.kron(rng.integers(0, 255, (*shape, 3)), np.ones((50, 50, 1))).astype(np.uint8)
        Image.fromarray(photo).save(folder / f"{name}.jpg")
    return folder


@pytest.mark.notebook
@pytest.mark.parametrize("name", ["00_pipeline", "16_your_photo"])
def test_photographs_get_only_what_they_can_have(name, photos, tmp_path, request):
    parameters = {"data": str(photos), **({"dataset": "photos"} if name[:2] == "00" else {})}
    test_notebook_runs(NOTEBOOKS / f"{name}.ipynb", parameters, tmp_path, request)
    ran = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    outputs = [output for cell in ran.cells for output in cell.get("outputs", [])]
    assert "stream" not in {output.output_type for output in outputs}  # a warning is red
    texts = [output.get("data", {}).get("text/plain", "") for output in outputs]
    alternatives = [str(output.get("metadata", {})) for output in outputs]
    for text in (*texts, *alternatives):
        assert not re.search(r"NaN|Empty DataFrame|not measured|prediction − ground truth", text)
    assert any("a.jpg" in text for text in texts + alternatives)


def widget_errors(ran) -> list[str]:
    """Errors in Output widgets, which papermill does not see."""
    state = ran.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    return [
        output["evalue"]
        for model in state.get("state", {}).values()
        for output in model.get("state", {}).get("outputs", [])
        if output["output_type"] == "error"
    ]
