"""Files of weights as users have them, and damaged ones: the right tensors, or one line."""

import argparse
import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save, save_file

from depthclip_core.clip.encoders import load_encoder
from depthclip_core.clip.library import load_open_clip
from depthclip_core.sample import model as sample_model
from fuzz.cases import Call, case

load_open_clip()  # takes seconds: once, not in every trial
STATE = sample_model.state_dict()


def loads(path: Path | str) -> Call:
    """The call that loads the sample's weights from a file, and checks every tensor of them."""

    def call() -> None:
        found = load_encoder("sample", path).model.state_dict()
        assert found.keys() == STATE.keys()
        for name, tensor in STATE.items():
            assert torch.equal(found[name], tensor.to(found[name].dtype)), name

    return call


def refuses(path: Path | str) -> Call:
    """The call that loads weights which no network can have."""
    return lambda: load_encoder("sample", path).model


def saved(content: object, path: Path, **options: object) -> Path:
    torch.save(content, path, **options)
    return path


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- files that hold the weights, wrapped in the ways that training programs have ---------------

PREFIXES = ("", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.")
WRAPPERS = ("state_dict", "model", "model_state_dict", "state_dict_ema", "ema", "net", "network")


@case("right", times=20)
def wrapped(folder, random):
    prefix = str(random.choice(PREFIXES))
    state = {prefix + name: tensor for name, tensor in STATE.items()}
    for _ in range(random.integers(0, 3)):
        state = {str(random.choice(WRAPPERS)): state, "epoch": 3, "best": 0.5}
    path = folder / str(random.choice(["w.pt", "w.pth", "w.bin", "w.ckpt", "w.safetensors", "w"]))
    legacy = bool(random.integers(2))
    return loads(saved(state, path, _use_new_zipfile_serialization=not legacy))


@case("right", times=8)
def with_arguments(folder, random):
    extra = [
        {"args": argparse.Namespace(lr=1e-3, data=Path("x"))},
        {"optimizer": {"state": {0: {"step": torch.ones(())}}, "param_groups": [{"params": [0]}]}},
        {"lr": np.float64(0.1), "step": np.int64(3)},
        {"rng": ("MT19937", np.arange(624), 3), "torch_rng": torch.get_rng_state()},
        {3: "an odd key", (1, 2): None, None: 1.5},
        {"config": {"type": type(argparse.Namespace()), "set": {1, 2}}},
        {"dtype": torch.float16, "device": torch.device("cpu"), "size": torch.Size([2])},
        {"when": __import__("datetime").datetime(2020, 1, 1)},
    ]
    legacy = bool(random.integers(2))
    content = {"state_dict": STATE, **extra[random.integers(len(extra))]}
    return loads(saved(content, folder / "w.pt", _use_new_zipfile_serialization=not legacy))


@case("right", times=6)
def other_dtypes(folder, random):
    dtype = [torch.float64, torch.float32][random.integers(2)]
    state = {k: v.to(dtype) if v.is_floating_point() else v for k, v in STATE.items()}
    if random.integers(2):
        save_file(state, folder / "w.safetensors")
        return loads(folder / "w.safetensors")
    return loads(saved(state, folder / "w.pt"))


@case("right")
def safetensors_named_pt(folder, random):
    return loads(written(folder / "w.pt", save(STATE)))


@case("right")
def in_home(folder, random):
    saved(STATE, folder.parent / "home" / "w.pt")
    return loads("~/w.pt")


@case("right")
def through_a_link(folder, random):
    saved(STATE, folder / "w.pt")
    (folder / "link.pt").symlink_to("w.pt")
    return loads(folder / "link.pt")


@case("right", times=3)
def odd_name(folder, random):
    names = [
        "a b ünï.pt",
        "#1.pt",
        "w.pt\n",
        "$(x).pt",
        "'\".pt",
        "sample",
        "own",
        "random",
        "-w.pt",
    ]
    return loads(saved(STATE, folder / str(random.choice(names))))


@case("right")
def as_a_module_list(folder, random):
    state = torch.nn.ModuleDict().state_dict() | STATE  # an OrderedDict with metadata
    return loads(saved(state, folder / "w.pt"))


@case("right", times=2)
def as_parameters(folder, random):
    state = {
        k: torch.nn.Parameter(v, v.is_floating_point()) if v.is_floating_point() else v
        for k, v in STATE.items()
    }
    return loads(
        saved(state, folder / "w.pt", _use_new_zipfile_serialization=bool(random.integers(2)))
    )


# --- files that are something else ---------------------------------------------------------------


@case("error", says="web page|w\\.pt", times=6)
def web_page(folder, random):
    pages = [
        "<!DOCTYPE html><html>Sign in</html>",
        "\n\n  <html>",
        "\ufeff<!doctype html>",
        "<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        '{"error": "Invalid username or password."}',
        "Not found",
    ]
    return refuses(written(folder / "w.pt", pages[random.integers(len(pages))]))


@case("error", says="LFS")
def lfs_pointer(folder, random):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    return refuses(written(folder / "w.safetensors", pointer))


OTHERS = {
    "empty": b"",
    "one byte": b"\x00",
    "zeros": bytes(4096),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(60),
    "a folder's listing": b"total 4\ndrwxr-xr-x\n",
    "a PNG": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(512),
    "pickle of a call": b"cposix\nsystem\n(S'touch ran'\ntR.",
    "pickle of eval": b'cbuiltins\neval\n(S\'open("ran","w")\'\ntR.',
    "pickle protocol 4": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x09touch ran\x85R.",
    "deep pickle": b"\x80\x02" + b"(" * 200000 + b".",
    "nested tuples": b"\x80\x02" + b")" + b"\x85" * 100000 + b".",
    "memo bomb": b"\x80\x02" + b"]q\x00" + b"(h\x00h\x00h\x00e" * 1000 + b".",
    "long string": b"\x80\x02\x8d" + struct.pack("<Q", 2**40) + b"x",
    "long bytes": b"\x80\x03\x8e" + struct.pack("<Q", 2**62) + b"x",
    "text": "Zürich".encode() * 100,
    "brace": b"12345678{",
    "zip head": b"PK\x03\x04",
    "tar": b"w.pt".ljust(257, b"\0") + b"ustar\x0000" + bytes(300),
}


@case("error", says="w\\.(pt|safetensors)", times=2 * len(OTHERS))
def something_else(folder, random):
    content = list(OTHERS.values())[random.integers(len(OTHERS))]
    return refuses(written(folder / str(random.choice(["w.pt", "w.safetensors"])), content))


@case("error", times=6)
def no_file(folder, random):
    (folder / "folder.pt").mkdir()
    (folder / "broken.pt").symlink_to("nowhere.pt")
    (folder / "loop.pt").symlink_to("loop.pt")
    odd = ["nothing.pt", "folder.pt", "broken.pt", "loop.pt", "x" * 300 + ".pt", "a\0b.pt"]
    odd += ["~nobody/w.pt", "/dev/null", "w.pt/", ".", "/", "http://127.0.0.1/w.pt", "a\nb.pt"]
    odd += ["\udcff.pt"]
    return refuses(odd[random.integers(len(odd))])


@case("error", times=8)
def no_name(folder, random):
    odd = [3, 1.5, True, [], ["w.pt"], {"a": 1}, b"w.pt", object(), np.float32(1), ("a",)]
    return refuses(odd[random.integers(len(odd))])


# --- tensors that do not fit ---------------------------------------------------------------------


def _other_state(random: np.random.Generator) -> dict:
    """The state with one tensor changed so that it cannot be the sample's."""
    state = dict(STATE)
    floats = [k for k, v in state.items() if v.is_floating_point() and v.numel()]
    name = str(random.choice(floats))
    tensor = state[name]
    flat = tensor.flatten()
    one_infinite = torch.cat([flat[1:], torch.tensor([torch.inf])]).view_as(tensor)
    of_others = {
        "shape": tensor[None],
        "cut": flat[:-1],
        "integers": tensor.to(torch.int8),
        "booleans": tensor > 0,
        "complex": tensor.to(torch.complex64),
        "nan": torch.full_like(tensor, torch.nan),
        "infinite": one_infinite,
        "overflow": torch.full(tensor.shape, 1e300, dtype=torch.float64),
        "sparse": flat[None].to_sparse(),
        "meta": tensor.to("meta"),
        "array": tensor.numpy(),
        "list": flat[:3].tolist(),
        "none": None,
        "nested": {"weight": tensor},
    }
    changes = {
        "missing": lambda: state.pop(name),
        "unknown": lambda: state.update({"odd\nname\x1b[31m": tensor}),
        "number": lambda: state.update({3: state.pop(name)}),
        "pair": lambda: state.update({(name,): state.pop(name)}),
        "twice": lambda: state.update({"module." + name: tensor}),
    }
    for what, other in of_others.items():
        changes[what] = lambda other=other: state.update({name: other})
    changes[str(random.choice(list(changes)))]()
    return state


@case("error", times=30)
def tensors_that_do_not_fit(folder, random):
    state = _other_state(random)
    legacy = bool(random.integers(2))
    path = saved(state, folder / "w.pt", _use_new_zipfile_serialization=not legacy)
    return refuses(path)


@case("error", times=8)
def no_state(folder, random):
    others = [
        [],
        {},
        None,
        3,
        "text",
        [STATE],
        {"state_dict": {}},
        {"state_dict": []},
        {"model": 3},
    ]
    others += [torch.ones(3), {"state_dict": {"model": {}}}, {"a": torch.ones(2)}, (STATE,)]
    cyclic: dict = {}
    cyclic["model"] = cyclic
    others.append(cyclic)
    return refuses(saved(others[random.integers(len(others))], folder / "w.pt"))


@case("error")
def whole_model(folder, random):
    return refuses(saved(torch.nn.Linear(2, 2), folder / "w.pt"))


@case("error", says="TorchScript")
def torchscript(folder, random):
    path = folder / "w.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/constants.pkl", b"\x80\x02).")
        archive.writestr("w/data.pkl", b"\x80\x02}.")
        archive.writestr("w/code/__torch__.py", b"open('ran', 'w')")
    return refuses(path)


# --- damage --------------------------------------------------------------------------------------


def _content(random: np.random.Generator) -> bytes:
    """The weights as a file of one of the three formats."""
    which = random.integers(3)
    if which == 0:
        return save(STATE)
    buffer = io.BytesIO()
    torch.save(STATE, buffer, _use_new_zipfile_serialization=which == 1)
    return buffer.getvalue()


@case("either", times=40)
def cut_off(folder, random):
    content = _content(random)
    end = random.integers(0, len(content)) if random.integers(2) else random.integers(0, 3000)
    return refuses(written(folder / "w.pt", content[:end]))


@case("either", times=45)
def flipped_bytes(folder, random):
    content = bytearray(_content(random))
    # Headers are small, and damage to them says most.
    ends = [len(content), 4096, 64]
    for _ in range(random.integers(1, 9)):
        at = int(random.integers(ends[random.integers(3)]))
        content[at if random.integers(2) else -1 - at] = random.integers(256)
    return refuses(written(folder / "w.pt", bytes(content)))


@case("either", times=26)
def lying_header(folder, random):
    """safetensors whose header claims other dtypes, shapes and places than the data have."""
    content = save(STATE)
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    name = str(random.choice([key for key in header if key != "__metadata__"]))
    about = header[name]
    lies = [
        lambda: about.update(
            dtype=str(random.choice(["F64", "I8", "BOOL", "F8_E4M3", "X", "C64"]))
        ),
        lambda: about.update(shape=[2**40, 2**40]),
        lambda: about.update(shape=[-1]),
        lambda: about.update(shape=[2**63, 2]),
        lambda: about.update(shape="x"),
        lambda: about.update(data_offsets=[0, len(data) * 1000]),
        lambda: about.update(data_offsets=[8, 4]),
        lambda: about.update(data_offsets=[0, 4]),
        lambda: about.update(data_offsets=[2**63, 2**64]),
        lambda: header.update(__metadata__={"a": 3}),
        lambda: header.update(extra=about),
        lambda: header.pop(name),
        lambda: header.update({name: []}),
    ]
    lies[random.integers(len(lies))]()
    text = json.dumps(header).encode()
    if random.integers(4) == 0:
        text = b"{" * 200000
    size = [len(text), 2**63, 2**40, 0, 1, len(text) + 10][random.choice(6, p=[0.75] + [0.05] * 5)]
    return refuses(written(folder / "w.safetensors", struct.pack("<Q", size) + text + data))


@case("error", says="unpack", times=4)
def zip_bomb(folder, random):
    """An archive of torch's whose members unpack to a thousand times its size."""
    path = folder / "w.pt"
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(4)}, buffer)
    big = bytes(2**26)
    target = str(random.choice(["data.pkl", "data/0", "version", "constants.pkl"]))
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            if not member.endswith(target):
                new.writestr(member, old.read(member))
        with new.open(
            f"{old.namelist()[0].partition('/')[0]}/{target}", "w", force_zip64=True
        ) as out:
            for _ in range(4):  # 256 MiB of zeros in 256 kB
                out.write(big)
    return refuses(path)


@case("error", times=8)
def lying_storage(folder, random):
    """A checkpoint whose tensors claim other sizes, offsets or strides than their storage has."""
    numbers = [b"K\x04", b"K\x03", b"K\x01", b"K\x00"]
    huge = [b"J\xff\xff\xff\x7f", b"J\xff\xff\xff\xff", b"\x8a\x08" + b"\xff" * 7 + b"\x7f"]
    buffer = io.BytesIO()
    tensor = torch.zeros(4)
    torch.save({"a": tensor, "b": tensor[1:]}, buffer)
    content = bytearray()
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(folder / "w.pt", "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member.endswith("data.pkl"):
                content = content.replace(numbers[random.integers(4)], huge[random.integers(3)])
            new.writestr(member, content)
    return refuses(folder / "w.pt")
