"""Pictures in saved notebooks become smaller and look the same."""

from base64 import b64decode, b64encode
from io import BytesIO

import nbformat
import numpy as np
from nbconvert import NotebookExporter
from PIL import Image
from traitlets.config import Config

from depthclip_core.workbook.pictures import SmallPictures, small


def png(pixels):
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pixels_of(data):
    return np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(int)


def noisy(rng, shape=(120, 160)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    smooth = np.stack([x, y, x + y], axis=-1) * 0.6
    return (smooth + rng.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)


def test_photographs_shrink_and_keep_their_colours():
    whole = noisy(np.random.default_rng(0))
    data = png(whole)
    less = small(data)
    assert len(less) < len(data) / 2
    assert np.abs(pixels_of(less) - whole).mean() < 5


def test_rare_colours_stay_what_they_are():
    """A colour bar beside a photograph: a hundredth of the picture, and colours of its own."""
    whole = noisy(np.random.default_rng(0), (300, 400))
    whole[:, 390:394] = np.linspace([70, 0, 80], [250, 230, 30], 300)[:, None]
    changed = np.abs(pixels_of(small(png(whole))) - whole).max(-1)
    assert changed[:, 390:394].max() < 24


def test_pictures_of_few_colours_do_not_change():
    few = np.random.default_rng(0).integers(0, 4, (30, 40, 1)).repeat(3, -1).astype(np.uint8) * 60
    np.testing.assert_array_equal(pixels_of(small(png(few))), few)


def test_transparent_pixels_become_white():
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[:4] = [10, 20, 30, 255]
    shown = pixels_of(small(png(clear)))
    assert (shown[4:] == 255).all() or len(small(png(clear))) == len(png(clear))


def test_nbconvert_shrinks_pictures_and_nothing_else():
    data = png(noisy(np.random.default_rng(0)))
    outputs = [
        nbformat.v4.new_output("display_data", {"image/png": b64encode(data).decode()}),
        nbformat.v4.new_output("stream", text="0.5"),
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=outputs)])
    config = Config({"NotebookExporter": {"preprocessors": [SmallPictures]}})
    written, _ = NotebookExporter(config=config).from_notebook_node(notebook)
    picture, text = nbformat.reads(written, as_version=4).cells[0].outputs
    assert b64decode(picture.data["image/png"]) == small(data)
    assert text.text == "0.5"
