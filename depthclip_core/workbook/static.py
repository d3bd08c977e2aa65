"""Saved notebooks show a picture or a line where a widget was, so that no kernel is needed."""

import re

from nbformat import NotebookNode

WIDGET = "application/vnd.jupyter.widget-view+json"
LINE = "A control: run this cell to use it."
# What ipywidgets says of a widget: its class and the start of its state.
STATE = re.compile(r"\w+\(.*(?:\)|…)", re.DOTALL)


def without_widgets(notebook: NotebookNode) -> NotebookNode:
    """Remove the widgets' views and states from a notebook, in place; returns it.

    What else an output holds stays, such as an explorer's picture. A widget that brings no picture
    becomes one line of text; without its state, a page could show an error only.
    """
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if data.pop(WIDGET, None) is None:
                continue
            if "text/plain" not in data or STATE.fullmatch(data["text/plain"]):
                data["text/plain"] = LINE
    return notebook
