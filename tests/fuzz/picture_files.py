"""Pictures of every format, sound, odd and damaged: the right pixels, or one line."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

import depthclip_core as dc
from depthclip_core.datasets.depth_files import read_depth_file
from depthclip_core.datasets.maps import file_shape, read_mask
from depthclip_core.datasets.photos import photo_shape
from fuzz.cases import Call, case

HEIGHT, WIDTH = 40, 60
_row, _column = np.mgrid[:HEIGHT, :WIDTH]
SMOOTH = np.stack([4 * _row, 3 * _column, 255 - 2 * _row - 2 * _column], -1).astype(np.uint8)
LEVELS = (500 + 90 * _row + 40 * _column).astype(np.uint16)
FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF", "bmp": "BMP", "gif": "GIF"}
SIGNATURE = b"\x89PNG\r\n\x1a\n"
TURNED = {  # EXIF's orientation: how a picture is stored that is upright as `SMOOTH`
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


def encoded(kind: str, pixels: np.ndarray = SMOOTH, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, kind, **options)
    return buffer.getvalue()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def reads(path: Path, tolerance: int | None = None) -> Call:
    """The call that opens a photograph. tolerance: levels by which it may differ from `SMOOTH`."""

    def call() -> None:
        rgb = dc.open_dataset("photos", data=path, long_side=None)[0].rgb
        assert rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.dtype == np.uint8
        assert photo_shape(path) == rgb.shape[:2]
        if tolerance is not None:
            assert rgb.shape == SMOOTH.shape, rgb.shape
            assert np.abs(rgb.astype(int) - SMOOTH).max() <= tolerance

    return call


def reads_depth(path: Path, right: bool = False) -> Call:
    def call() -> None:
        values = read_depth_file(path)
        assert values.ndim == 2 and (values.dtype == np.uint16 or values.dtype.kind == "f")
        assert file_shape(path) == values.shape
        assert not right or np.array_equal(values, LEVELS)

    return call


def directories(content: bytes) -> list[tuple[int, int]]:
    """Where each directory of a little-endian TIFF starts, and where it names the next one."""
    (at,), found = struct.unpack_from("<I", content, 4), []
    while at:
        (entries,) = struct.unpack_from("<H", content, at)
        found.append((at, at + 2 + 12 * entries))
        (at,) = struct.unpack_from("<I", content, found[-1][1])
    return found


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk after its header."""
    return png[:33] + chunk(kind, content) + png[33:]


def png_header(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99)))


# --- sound, and sound but odd --------------------------------------------------------------------


@case("right", times=12)
def sound(folder, random):
    suffix = str(random.choice([*FORMATS]))
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}
    content = encoded(FORMATS[suffix], **options.get(suffix, {}))
    return reads(written(folder / f"a.{suffix}", content), 60 if suffix == "gif" else 4)


@case("right", times=24)
def turned(folder, random):
    """Upright by EXIF's orientation, in each format that has EXIF."""
    orientation, suffix = (
        int(random.integers(1, 9)),
        str(random.choice(["jpg", "png", "webp", "tif"])),
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif, "quality": 100} | ({"lossless": True} if suffix == "webp" else {})
    stored = TURNED[orientation](SMOOTH)
    return reads(written(folder / f"a.{suffix}", encoded(FORMATS[suffix], stored, **options)), 24)


@case("right", times=8)
def odd_metadata(folder, random):
    """EXIF and colour profiles of chance bytes: the pixels are sound."""
    noise = random.bytes(int(random.choice([1, 7, 30, 3000])))
    suffix = str(random.choice(["jpg", "png", "webp"]))
    exif = [b"Exif\0\0" + noise, b"Exif\0\0II*\0\x08\0\0\0" + noise, b"Exif\0\0MM\0*" + noise]
    options = {"exif": exif[random.integers(3)], "icc_profile": noise, "quality": 100}
    options |= {"lossless": True} if suffix == "webp" else {"subsampling": 0}
    return reads(written(folder / f"a.{suffix}", encoded(FORMATS[suffix], **options)), 4)


@case("right", times=6)
def much_metadata(folder, random):
    """A sound PNG with megabytes of text, or a large profile, as image generators write them."""
    text = b"prompt\0" + b"x" * 3_000_000
    packed = zlib.compress(b"x" * 3_000_000)
    chunks = [
        (b"tEXt", text),
        (b"zTXt", b"prompt\0\0" + packed),
        (b"iTXt", b"prompt\0\1\0\0\0" + packed),
        (b"iTXt", b"prompt\0\0\0\0\0" + text),
        (b"iCCP", b"profile\0\0" + packed),
        (b"eXIf", bytes(1_000_000)),
    ]
    content = with_chunk(encoded("PNG"), *chunks[random.integers(6)])
    return reads(written(folder / "a.png", content), 0)


@case("right", times=5)
def several_pictures(folder, random):
    """The first of an animation, of a file's pages, or of a phone's several pictures."""
    suffix, kind = [
        ("gif", "GIF"),
        ("png", "PNG"),
        ("webp", "WEBP"),
        ("tif", "TIFF"),
        ("jpg", "MPO"),
    ][random.integers(5)]
    others = [Image.fromarray(255 - SMOOTH)]
    options = {"lossless": True} if suffix == "webp" else {}
    options |= {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    content = encoded(kind, save_all=True, append_images=others, **options)
    return reads(written(folder / f"a.{suffix}", content), 60 if suffix == "gif" else 4)


@case("right", times=6)
def directories_of_a_tiff_in_a_circle(folder: Path, random: np.random.Generator) -> Call:
    """The last directory leads back to one before, or to itself; the first picture is right."""
    pages = int(random.integers(1, 5))
    others = [Image.fromarray(SMOOTH[::-1])] * (pages - 1)
    content = bytearray(encoded("TIFF", save_all=True, append_images=others))
    found = directories(content)
    struct.pack_into("<I", content, found[-1][1], found[int(random.integers(pages))][0])
    (folder / "many").mkdir()
    written(folder / "many" / "a.tif", content)
    path = folder / "many" if random.integers(2) else folder / "many" / "a.tif"
    frames = dc.open_dataset("photos", data=path, long_side=None)
    return lambda: np.testing.assert_array_equal(frames[0].rgb, SMOOTH)


@case("either", times=6, says="holds several pictures: save the map alone")
def depth_in_a_tiff_of_many_directories(folder: Path, random: np.random.Generator) -> Call:
    """In a circle, or thousands of them: to count them would take minutes."""
    content = bytearray(encoded("TIFF", LEVELS))
    (start, link), after = directories(content)[0], len(content)
    copies = int(random.choice([0, 1, 2, 30_000]))
    struct.pack_into("<I", content, link, after if copies else start)
    size = link + 4 - start
    for copy in range(copies):
        content += content[start:link] + struct.pack("<I", after + size * ((copy + 1) % copies))
    return reads_depth(written(folder / "a.tif", content), right=True)


@case("right", times=10)
def modes(folder, random):
    """One grey picture in every mode."""
    grey = SMOOTH[..., 0]
    picture = Image.fromarray(grey)
    pictures = {
        "L.png": picture,
        "LA.png": picture.convert("LA"),
        "P.png": picture.convert("P"),
        "I16.png": Image.fromarray(grey.astype(np.uint16) * 257),
        "F.tif": Image.fromarray(grey.astype(np.float32)),
        "CMYK.jpg": picture.convert("RGB").convert("CMYK"),
        "YCbCr.jpg": picture.convert("RGB").convert("YCbCr"),
        "I.tif": Image.fromarray(grey.astype(np.int32) * 257),
    }
    name = str(random.choice([*pictures]))
    pictures[name].save(folder / name, quality=100)

    def call() -> None:
        rgb = dc.open_dataset("photos", data=folder / name)[0].rgb.astype(int)
        assert np.abs(rgb - grey[..., None]).max() <= 4

    return call


@case("right", times=2)
def long_and_thin(folder, random):
    pixels = np.zeros([(1, 30_000, 3), (30_000, 1, 3)][random.integers(2)], np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    return lambda: dc.open_dataset("photos", data=folder)[0].rgb


# --- refused -------------------------------------------------------------------------------------

OTHERS = {
    "empty": b"",
    "blank": bytes(5000),
    "page": b"<!DOCTYPE html>\n<html><title>Sign in</title></html>",
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 30 20\n%%EndComments\nshowpage\n",
    "pdf": b"%PDF-1.4\n1 0 obj\n",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'></svg>",
    "psd": b"8BPS\0\1" + bytes(40),
    "ico": b"\0\0\1\0\1\0" + bytes(100),
    "fits": b"SIMPLE  =                    T".ljust(2880),
    "pcx": b"\x0a\5\1\x08" + bytes(300),
    "sgi": b"\1\xda\1\1\0\3" + bytes(600),
}


@case("error", says="cannot read", times=2 * len(OTHERS))
def another_kind(folder, random):
    content = OTHERS[str(random.choice([*OTHERS]))]
    suffix = str(random.choice(["jpg", "png", "tif"]))
    return reads(written(folder / f"a.{suffix}", content))


@case("error", says="HEIC.*pillow-heif", times=3)
def heic(folder, random):
    content = struct.pack(">I", 24) + b"ftyp" + random.choice([b"heic", b"mif1", b"heix"])
    name = str(random.choice(["a.heic", "a.HEIF", "a.jpg"]))
    return reads(written(folder / name, content + bytes(400)))


@case("error", says="pixels|cannot read", times=6)
def too_large(folder, random):
    """By a header that claims a size for which no memory would do."""
    side = int(random.choice([13_000, 60_000, 2**31 - 1]))
    bmp = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 99, 0, 0, 54, 40, side, side, 1, 24, *[0] * 6)
    gif = b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0) + bytes(30)
    contents = [png_header(side, side), bmp, gif]
    ppm = f"P6 {side} {side} 255\n".encode() + bytes(100)
    return reads(written(folder / "a.png", [*contents, ppm][random.integers(4)]))


@case("error", says="cannot read", times=12)
def damaged_png(folder, random):
    png = encoded("PNG")
    size = struct.unpack(">I", png[33:37])[0]
    data = png[41 : 41 + size]
    contents = [
        png[:33] + chunk(b"IDAT", data[: size // 2]) + b"\0\0\0\4\1\2\3\4abcdabcd" + png[-12:],
        png[:33] + chunk(b"IDAT", random.bytes(size)) + png[-12:],
        png[:33] + png[-12:],
        png_header(0, 0),
        png_header(WIDTH, HEIGHT, 3),
        png_header(WIDTH, HEIGHT, 8, 5),
        png[:8] + chunk(b"IDAT", data),
        png[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT" + data,
    ]
    return reads(written(folder / "a.png", contents[random.integers(len(contents))]))


@case("error", says="folder|pipe|link|no photo", times=5)
def no_ordinary_file(folder, random):
    path, kind = folder / "a.png", random.integers(5)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to("absent.png")
    elif kind == 2:
        path.symlink_to("a.png")
    elif kind == 3:
        path.symlink_to("/dev/zero")
    else:
        return reads(folder / ("n" * 400 + ".png"))
    return reads(path)


# --- damage by chance ----------------------------------------------------------------------------


def harmed(content: bytes, random: np.random.Generator) -> bytes:
    """A few bytes changed, mostly in the header; or the end cut off."""
    changed = bytearray(content)
    if random.integers(4) == 0:
        return content[: random.integers(1, len(content))]
    reach = [80, 400, len(content)][random.integers(3)]
    for _ in range(random.integers(1, 8)):
        changed[random.integers(0, min(reach, len(content)))] = random.integers(0, 256)
    return bytes(changed)


@case("either", times=150)
def flipped_bits(folder, random):
    suffix = str(random.choice([*FORMATS]))
    exif = Image.Exif()
    exif[0x0112] = int(random.integers(1, 9))
    options = {"exif": exif} if suffix in ("jpg", "png", "webp", "tif") else {}
    if suffix == "tif":
        options["compression"] = [None, "tiff_lzw", "jpeg", "tiff_adobe_deflate"][
            random.integers(4)
        ]
    return reads(
        written(folder / f"a.{suffix}", harmed(encoded(FORMATS[suffix], **options), random))
    )


@case("either", times=60)
def flipped_bits_in_depth(folder, random):
    suffix = str(random.choice(["png", "tif", "pgm"]))
    kind = {"png": "PNG", "tif": "TIFF", "pgm": "PPM"}[suffix]
    return reads_depth(written(folder / f"a.{suffix}", harmed(encoded(kind, LEVELS), random)))


@case("right", times=3)
def sound_depth(folder, random):
    suffix = str(random.choice(["png", "tif", "pgm"]))
    kind = {"png": "PNG", "tif": "TIFF", "pgm": "PPM"}[suffix]
    return reads_depth(written(folder / f"a.{suffix}", encoded(kind, LEVELS)), right=True)


@case("error", says="a.(png|tif)", times=6)
def no_depth(folder, random):
    """Colours, 8 bits, several pages, or an orientation, which a depth map has not."""
    pages = {"save_all": True, "append_images": [Image.fromarray(LEVELS)]}
    contents = {
        "rgb a.png": encoded("PNG"),
        "eight a.png": encoded("PNG", SMOOTH[..., 0]),
        "pages a.tif": encoded("TIFF", LEVELS, **pages),
        "frames a.png": encoded("PNG", LEVELS, **pages),
    }
    name = str(random.choice([*contents]))
    return reads_depth(written(folder / name.split()[1], contents[name]))


@case("either", times=10)
def masks(folder, random):
    path = written(folder / "a.png", harmed(encoded("PNG", SMOOTH[..., 0]), random))
    return lambda: read_mask(path, (HEIGHT, WIDTH))
