"""Image files of every mode that users have, compared with a plain computation."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

import depthclip_core as dc

RAMP = np.tile(np.linspace(0, 65535, 60).astype(np.uint16), (40, 1))


def seen(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = dc.open_dataset("photos", data=path)[0]
    assert frame.rgb.dtype == np.uint8 and frame.rgb.shape[-1] == 3
    assert frame.rgb.flags.writeable  # torch warns of arrays that are not
    return frame.rgb.astype(int)


def png_of_16_bits(path, pixels):
    """Encode (H, W, C) uint16 with 1 to 4 channels, which Pillow cannot write."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width, channels = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_divided_by_257(tmp_path, suffix):
    path = tmp_path / f"grey.{suffix}"
    Image.fromarray(RAMP).save(path)
    rgb = seen(path)
    expected = np.rint(RAMP / 257)
    assert all(np.array_equal(rgb[..., channel], expected) for channel in range(3))


def test_big_endian_16_bit_grey(tmp_path):
    path = tmp_path / "grey.tif"
    Image.frombytes("I;16B", RAMP.shape[::-1], RAMP.astype(">u2").tobytes()).save(path)
    assert np.array_equal(seen(path)[..., 0], np.rint(RAMP / 257))


def test_16_bit_pgm(tmp_path):
    path = tmp_path / "grey.pgm"
    path.write_bytes(b"P5 60 40 65535\n" + RAMP.astype(">u2").tobytes())
    assert np.array_equal(seen(path)[..., 0], np.rint(RAMP / 257))


def test_16_bit_colour(tmp_path):
    pixels = np.dstack([RAMP, RAMP[:, ::-1], RAMP // 2])
    rgb = seen(png_of_16_bits(tmp_path / "a.png", pixels))
    assert np.abs(rgb - pixels / 257).max() <= 1  # Pillow keeps their upper bytes


def test_16_bit_transparency_is_composited_on_white(tmp_path):
    alpha = np.full_like(RAMP, 32768)
    expected = (RAMP / 257 + 255) / 2
    for name, channels in (("grey", [RAMP, alpha]), ("colours", [RAMP, RAMP, RAMP, alpha])):
        rgb = seen(png_of_16_bits(tmp_path / f"{name}.png", np.dstack(channels)))
        assert np.abs(rgb[..., 0] - expected).max() <= 2


def test_transparent_grey_level_becomes_white(tmp_path):
    path = tmp_path / "grey.png"
    level = int(RAMP[0, 7])
    Image.fromarray(RAMP).save(path, transparency=level)
    rgb = seen(path)
    assert (rgb[:, 7] == 255).all()
    assert np.array_equal(np.delete(rgb[..., 0], 7, 1), np.delete(np.rint(RAMP / 257), 7, 1))


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_float_range_is_the_smallest_that_fits(tmp_path, white):
    path = tmp_path / "float.tif"
    levels = (RAMP / 65535 * white).astype(np.float32)
    Image.fromarray(levels).save(path)
    assert np.abs(seen(path)[..., 0] - RAMP / 257).max() <= 0.51


def test_32_bit_integers(tmp_path):
    path = tmp_path / "whole.tif"
    levels = (RAMP.astype(np.int64) * 32768).astype(np.int32)
    Image.fromarray(levels).save(path)
    assert np.abs(seen(path)[..., 0] - levels / (2**31 - 1) * 255).max() <= 0.51


def test_slight_overshoot_keeps_the_float_range(tmp_path):
    levels = (RAMP / 65535 * 1.02).astype(np.float32) - np.float32(0.01)
    Image.fromarray(levels).save(tmp_path / "over.tif")
    expected = np.rint(255 * levels.clip(0, 1))
    assert np.abs(seen(tmp_path / "over.tif")[..., 0] - expected).max() <= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_unusable_floats_raise_one_clear_line(tmp_path, bad):
    levels = np.ones((4, 5), np.float32)
    levels[1, 2] = bad
    Image.fromarray(levels).save(tmp_path / "bad.tif")
    with pytest.raises(dc.DepthClipError, match=r"bad\.tif: it.* grey levels") as caught:
        seen(tmp_path / "bad.tif")
    assert "\n" not in str(caught.value)


def test_palette_and_bilevel(tmp_path):
    colours = np.zeros((40, 60, 3), np.uint8)
    colours[:, 20:40, 0], colours[:, 40:, 2] = 200, 100
    Image.fromarray(colours).quantize(8).save(tmp_path / "palette.png")
    assert np.array_equal(seen(tmp_path / "palette.png"), colours)
    clear = Image.fromarray(colours).quantize(8)
    clear.save(tmp_path / "clear.png", transparency=clear.getpixel((0, 0)))
    assert (seen(tmp_path / "clear.png")[:, :20] == 255).all()
    assert np.array_equal(seen(tmp_path / "clear.png")[:, 20:], colours[:, 20:])
    Image.fromarray(RAMP > 30000).save(tmp_path / "two.png")
    assert np.array_equal(seen(tmp_path / "two.png")[..., 0], 255 * (RAMP > 30000))


def test_cmyk(tmp_path):
    inks = np.zeros((40, 60, 4), np.uint8)
    inks[..., 0], inks[..., 3] = np.linspace(0, 255, 60), 51
    Image.frombytes("CMYK", (60, 40), inks.tobytes()).save(tmp_path / "cmyk.tif")
    expected = (255 - inks[..., :3].astype(float)) * (255 - 51) / 255
    assert np.abs(seen(tmp_path / "cmyk.tif") - expected).max() <= 1


def test_lab(tmp_path):
    lab = Image.frombytes("LAB", (3, 1), bytes([0, 0, 0, 138, 81, 70, 255, 0, 0]))
    lab.save(tmp_path / "lab.tif")
    black, red, white = seen(tmp_path / "lab.tif")[0]
    # L 54.1, a 81, b 70 is sRGB's red, by the definition of CIELAB.
    assert black.max() <= 1 and white.min() >= 254
    assert np.abs(red - [255, 0, 0]).max() <= 12


def test_premultiplied_and_ycbcr(tmp_path):
    from depthclip_core.datasets.photos import to_rgb

    half = Image.frombytes("RGBa", (1, 1), bytes([100, 0, 0, 128]))
    assert np.abs(np.array(to_rgb(half)).astype(int) - [227, 127, 127]).max() <= 1
    grey = Image.frombytes("La", (1, 1), bytes([100, 128]))
    assert np.abs(np.array(to_rgb(grey)).astype(int) - 227).max() <= 1
    ycc = Image.frombytes("YCbCr", (1, 1), bytes([100, 128, 128]))
    assert np.array(to_rgb(ycc)).tolist() == [[[100, 100, 100]]]
