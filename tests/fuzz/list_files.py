"""What lies beside frames: lists, tables, descriptions, scans, arrays, and folders themselves."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
from layouts import kitti_scan, write_kitti, write_sunrgbd
from PIL import Image

import depthclip_core as dc
from depthclip_core.datasets.nyu_arrays import DEPTH_NAME, RGB_NAME
from depthclip_core.datasets.photos import PhotoFrames
from fuzz.cases import case

SHAPE = (2, 480, 640)
NOISE = (b"\xff\xfe", b"\0\0\0", b"\n\n\n", b"\x1b[31m", b"../", b"1e999 ", b"a b c d e", b"\r")


def array(shape: tuple[int, ...], dtype: str, claimed: object = None, version=(1, 0)) -> bytes:
    """A .npy; claimed: the shape that its header states."""
    buffer = io.BytesIO()
    header = {"shape": claimed or shape, "fortran_order": False, "descr": np.dtype(dtype).str}
    write = np.lib.format.write_array_header_1_0
    (write if version == (1, 0) else np.lib.format.write_array_header_2_0)(buffer, header)
    return buffer.getvalue() + bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize)


def put(folder: Path, packed: bool, **members: bytes) -> None:
    """DenseDepth's arrays by kind (rgb, depth), in the folder or in its zip."""
    names = {"rgb": RGB_NAME, "depth": DEPTH_NAME}
    if not packed:
        for kind, content in members.items():
            (folder / names[kind]).write_bytes(content)
        return
    with zipfile.ZipFile(folder / "nyu_test.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
        for kind, content in members.items():
            z.writestr(names[kind], content)


def reads_arrays(folder: Path):
    def call() -> None:
        with dc.open_dataset("nyu", "test", data=folder) as frames:
            assert frames[len(frames) - 1].rgb.shape == (480, 640, 3)
            assert frames.raw_depth(0).shape == (480, 640)

    return call


@case("right", times=3)
def sound_arrays(folder, random):
    version = [(1, 0), (2, 0)][random.integers(2)]
    members = {"rgb": array((*SHAPE, 3), "u1", version=version), "depth": array(SHAPE, "f4")}
    put(folder, bool(random.integers(2)), **members)
    return reads_arrays(folder)


@case("error", times=12)
def arrays_that_lie(folder, random):
    """Headers that claim more frames, other shapes and types than there are."""
    claimed = [(654, 480, 640), (10**7, 480, 640), (2**40, 480, 640), (-1, 480, 640), (0, 480, 640)]
    shape = claimed[random.integers(5)]
    depth = array(SHAPE, "f4", shape)
    rgb = array((*SHAPE, 3), "u1", (*shape, 3))
    if random.integers(4) == 0:
        depth, rgb = array(SHAPE, "u2"), array((*SHAPE, 3), "u1")
    put(folder, bool(random.integers(2)), rgb=rgb, depth=depth)
    return reads_arrays(folder)


@case("error", times=20)
def harmed_arrays(folder, random):
    packed = bool(random.integers(2))
    put(folder, packed, rgb=array((*SHAPE, 3), "u1"), depth=array(SHAPE, "f4"))
    path = folder / ("nyu_test.zip" if packed else [RGB_NAME, DEPTH_NAME][random.integers(2)])
    content = bytearray(path.read_bytes())
    if random.integers(3) == 0:
        del content[random.integers(1, len(content)) :]
    else:
        content[random.integers(0, 60)] ^= 0xFF
        content[random.integers(0, 60)] ^= 0x55
        content[3] = 0
    path.write_bytes(content)
    return reads_arrays(folder)


@case("error", times=3)
def no_ordinary_arrays(folder, random):
    put(folder, False, rgb=array((*SHAPE, 3), "u1"))
    path, kind = folder / DEPTH_NAME, random.integers(3)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.mkdir()
    else:
        path.symlink_to(path.name)
    return reads_arrays(folder)


# --- lists, tables and descriptions --------------------------------------------------------------


def harmed_text(path: Path, random: np.random.Generator) -> None:
    """A text with a foreign part in it, cut off, endless, or no ordinary file."""
    content, kind = path.read_bytes(), random.integers(8)
    at = int(random.integers(0, len(content) + 1))
    path.unlink()
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.mkdir()
    elif kind == 2:
        with open(path, "wb") as file:
            file.truncate(2**36)
    elif kind == 3:
        path.write_bytes(content[:at])
    else:
        noise = NOISE[random.integers(len(NOISE))]
        path.write_bytes(content[:at] + noise * int(random.choice([1, 1, 50])) + content[at:])


@case("either", times=24)
def kitti_lists(folder, random):
    write_kitti(folder)
    for number, shape in enumerate([(375, 1242), (370, 1224)]):
        depth = np.full(shape, 9.0) * (np.arange(shape[1]) % 9 == 0)
        kitti_scan(folder, number, depth, f"2011_09_26_drive_000{number}")
    raw = bool(random.integers(2))
    files = ["eigen_test_files_with_gt.txt", "2011_09_26/calib_cam_to_cam.txt"]
    files += ["2011_09_26/calib_velo_to_cam.txt"]
    scans = [str(p.relative_to(folder)) for p in folder.rglob("*.bin")]
    if random.integers(4):
        harmed_text(folder / str(random.choice([*files, *scans] if raw else files[:1])), random)

    def call() -> None:
        options = {"ground_truth": "raw" if raw else "official"}
        with dc.open_dataset("kitti", "test", data=folder, **options) as frames:
            assert frames.ground_truth(0).shape == (352, 1216)

    return call


@case("either", times=8)
def scene_texts(folder, random):
    write_sunrgbd(folder)
    harmed_text(next((folder / "SUNRGBD/kv1").rglob("scene.txt")), random)

    def call() -> None:
        with dc.open_dataset("sunrgbd", "all", data=folder) as frames:
            assert len(frames.scenes) == 3 and frames[0].rgb.ndim == 3

    return call


@case("either", times=30)
def pairs_and_their_texts(folder, random):
    for i in range(3):
        Image.new("RGB", (40, 30), "grey").save(folder / f"{i}_rgb.png")
        Image.fromarray(np.full((30, 40), 1000 + i, np.uint16)).save(folder / f"{i}_depth.png")
    (folder / "rgb.txt").write_text("".join(f"{i}.01 {i}_rgb.png\n" for i in range(3)))
    depths = "".join(f"{i} {i}_depth.png\n" for i in range(3))
    (folder / "depth.txt").write_text("# time file\n" + depths)
    (folder / "t.csv").write_text("name,scene,split\n0,office,test\n1,kitchen,train\n2,x,test\n")
    named = 'rgb = "*_rgb.png"\ndepth = "*_depth.png"\ntable = "t.csv"\nscene_column = "scene"\n'
    timed = "time_stamps = 0.02\n"
    (folder / "d.toml").write_text("divisor = 1000\n" + [named, timed][random.integers(2)])
    harmed_text(folder / str(random.choice(["rgb.txt", "depth.txt", "t.csv", "d.toml"])), random)

    def call() -> None:
        with dc.open_dataset("pairs", "test", data=folder / "d.toml") as frames:
            assert frames[0].rgb.shape == (30, 40, 3) and abs(frames[0].raw_depth.max() - 1) < 0.1

    return call


# --- folders -------------------------------------------------------------------------------------


@case("right")
def files_beside_photos(folder, random):
    """A folder has its photographs in every format that is read, and nothing beside them."""
    picture, inner = Image.new("RGB", (30, 20), "grey"), folder / "photos"
    inner.mkdir()
    wanted = ["a.jpg", "b.WEBP", "c.tif", "d.png", "e.bmp", "f.gif", "g.ppm", "h.JPEG", "i.tiff"]
    for name in wanted:
        picture.save(inner / name)
    (inner / "._a.jpg").write_bytes(b"\0\5\26\7")
    (inner / ".hidden.png").write_bytes(b"")
    (inner / "album.png").mkdir()
    (inner / "notes.txt").write_text("none")
    (inner / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(inner / "pipe.jpg")

    def call() -> None:
        frames = dc.open_dataset("photos", data=inner)
        assert frames.names == wanted
        assert all(frame.rgb.shape == (20, 30, 3) for frame in frames)

    return call


@case("error", says="Permission denied|may not be read|no photo", times=3)
def unreadable_photos(folder, random):
    Image.new("RGB", (30, 20), "grey").save(folder / "a.jpg")
    PhotoFrames(folder)[0]
    kind = random.integers(3)
    os.chmod(folder / "a.jpg" if kind == 0 else folder, [0, 0o300, 0o644][kind])

    def call() -> None:
        os.setegid(65534)
        os.seteuid(65534)
        try:
            dc.open_dataset("photos", data="a.jpg" if kind == 2 else ".")[0]
        finally:
            os.seteuid(0)
            os.setegid(0)

    return call if os.geteuid() == 0 else lambda: dc.open_dataset("photos", data="absent")


@case("error", times=6)
def odd_places(folder, random):
    places = ["a" * 5000, "a\0b", "", "absent/" * 300, "/proc/self/mem", "/dev/zero"]
    dataset = str(random.choice(["photos", "nyu", "kitti", "sunrgbd"]))
    place = places[random.integers(len(places))] or "absent"
    return lambda: dc.open_dataset(dataset, data=place)[0]
