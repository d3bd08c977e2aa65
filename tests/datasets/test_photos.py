import numpy as np
import pytest
from PIL import Image

import depthclip_core as dc
from depthclip_core.datasets.photos import PhotoFrames


def test_reads_common_kinds_of_photos(tmp_path):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, :20, 0] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(picture[..., 0]).save(tmp_path / "b_grey.png")
    rgba = np.dstack([picture, np.zeros((40, 60), np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "c_clear.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: turn a quarter clockwise to see it upright
    Image.fromarray(picture).save(tmp_path / "d.jpg", exif=turned, quality=95)
    Image.fromarray(np.tile(picture, (40, 40, 1))).save(tmp_path / "e_large.JPEG")
    (tmp_path / "notes.txt").write_text("not a photo")
    photos = dc.open_dataset("photos", data=tmp_path)
    assert photos.names == ["a.png", "b_grey.png", "c_clear.png", "d.jpg", "e_large.JPEG"]
    plain, grey, clear, upright, large = photos
    assert np.array_equal(plain.rgb, picture)
    assert grey.rgb.shape == (40, 60, 3) and (grey.rgb[..., 0] == grey.rgb[..., 2]).all()
    assert (clear.rgb == 255).all()
    assert upright.rgb.shape == (60, 40, 3) and upright.rgb[5, 20, 0] > 200 > upright.rgb[55, 20, 0]
    assert large.rgb.shape == (427, 640, 3)
    assert plain.depth is None and plain.scene is None


def test_list_of_photos_with_an_unreadable_file(tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"these are no pixels")
    photos = PhotoFrames([bad, tmp_path / "absent.png"])
    with pytest.raises(dc.DepthClipError, match=r"bad.jpg as an image"):
        photos[0]
    with pytest.raises(dc.DepthClipError, match=r"no photo at .*absent.png"):
        photos[1]


@pytest.mark.parametrize("size", [(1200, 900), (640, 480), (900, 1200), (1200, 800)])
def test_photos_are_not_cropped(tmp_path, size):
    Image.new("RGB", size, "grey").save(tmp_path / "a.jpg")
    frame = dc.open_dataset("photos", data=tmp_path)[0]
    assert frame.window.shape == frame.rgb.shape[:2]
    encoder = dc.load_encoder("sample", device="cpu")
    for given in (frame, frame.rgb[None]):
        assert dc.predict_depth(given, encoder).shape[1:] == frame.rgb.shape[:2]


@pytest.mark.parametrize(("where", "says"), [("", "no photos in"), ("no", "no photo or folder")])
def test_missing_photos_raise_one_clear_line(tmp_path, where, says):
    with pytest.raises(dc.DepthClipError, match=says):
        dc.open_dataset("photos", data=tmp_path / where)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_damaged_photos_raise_one_line_or_are_read(tmp_path, suffix):
    rng, path = np.random.default_rng(0), tmp_path / f"a.{suffix}"
    Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)
    whole, refused = path.read_bytes(), 0
    for i in range(150):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole), 4):
            content[place] = rng.integers(0, 256)
        # Headers decide most; a third of the files are cut.
        content[rng.integers(0, 60)] = rng.integers(0, 256)
        path.write_bytes(content[: rng.integers(1, len(whole))] if i % 3 == 0 else content)
        try:
            assert PhotoFrames(path)[0].rgb.ndim == 3
        except dc.DepthClipError as error:
            refused += 1
            assert str(path) in str(error) and len(str(error).splitlines()) == 1
    assert refused > 30
