"""Notebooks are saved without what only a kernel can show."""

import nbformat
import pytest

from depthclip_core.workbook.static import LINE, WIDGET, without_widgets

VIEW = {"model_id": "1", "version_major": 2, "version_minor": 0}


def saved(**data):
    """A notebook with the state of a widget, and its output with this data besides the view."""
    kinds = {name.replace("__", "/"): value for name, value in data.items()}
    shown = nbformat.v4.new_output("execute_result", data={WIDGET: VIEW} | kinds)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[shown])])
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    return notebook


@pytest.mark.parametrize(
    ("data", "left"),
    [
        ({"text__plain": "HBox(children=(Dropdown(options=('a',…"}, {"text/plain": LINE}),
        ({"text__plain": "IntSlider(value=3)"}, {"text/plain": LINE}),
        ({}, {"text/plain": LINE}),
        ({"text__plain": "100%|██| 4/4"}, {"text/plain": "100%|██| 4/4"}),
        (
            {"text__plain": "BinExplorer: run this cell.", "image__png": "a"},
            {"text/plain": "BinExplorer: run this cell.", "image/png": "a"},
        ),
    ],
)
def test_picture_or_line_stands_in_for_a_widget(data, left):
    notebook = without_widgets(saved(**data))
    assert notebook.cells[0].outputs[0].data == left
    assert "widgets" not in notebook.metadata


def test_other_outputs_stay():
    notebook = saved(text__plain="1")
    del notebook.cells[0].outputs[0].data[WIDGET]
    notebook.cells[0].outputs.append(nbformat.v4.new_output("stream", text="HBox(children=(a,))"))
    before = [dict(output) for output in notebook.cells[0].outputs]
    assert without_widgets(notebook).cells[0].outputs == before
