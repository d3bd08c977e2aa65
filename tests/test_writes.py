"""Whatever the package writes goes through depthclip_core/files.py, whole or not at all.

Its temporary files are those of depthclip_core/temporaries.py.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "depthclip_core"
WRITER = {PACKAGE / "files.py", PACKAGE / "temporaries.py"}

# Functions and methods that write, rename or remove what lies on a disk.
ALWAYS = set(
    "write_text write_bytes touch mkdir makedirs symlink_to hardlink_to symlink link rmtree move "
    "copy2 copyfile copyfileobj copytree unlink rmdir renames truncate tofile savetxt savez "
    "savez_compressed to_csv to_parquet to_json to_excel to_hdf to_pickle to_feather to_html "
    "to_latex to_markdown to_netcdf to_zarr save_file imsave imwrite dump removedirs mkstemp "
    "mkdtemp TemporaryDirectory NamedTemporaryFile TemporaryFile urlretrieve extractall".split()
)
# Of these, only with a first argument: without one they return what they would have written.
RETURNING = {name for name in ALWAYS if name.startswith("to_")}
# Of a class or module: the same names mean other things elsewhere.
OF_MODULE = {
    ("os", "replace"), ("os", "rename"), ("os", "remove"), ("os", "open"), ("shutil", "copy"),
    ("nbformat", "write"), ("np", "save"), ("numpy", "save"), ("torch", "save"),
}  # fmt: skip
SAVING = {"save", "savefig"}  # pictures and figures, to a path or into memory
OPENING = {"open", "fdopen", "File", "ZipFile", "TarFile", "memmap", "open_memmap"}

# What is printed goes nowhere once it cannot be written. Locks are removed by who holds them, and
# the store's chunks by the store, which packs them in memory. A run removes its own temporary copy.
# The sample's pictures are packed in memory. Data are opened for reading. A browser saves what is
# downloaded from an explorer. A download grows in a hidden folder, from which it can go on.
ALLOWED = {
    ("datasets/incoming.py", "open"),
    ("widgets/photo_explorer.py", "save"),
    ("fetching/fetch.py", "mkdir"),
    ("fetching/fetch.py", "replace"),
    ("fetching/fetch.py", "rmdir"),
    ("fetching/fetch.py", "unlink"),
    ("fetching/transfer.py", "open"),
    ("fetching/transfer.py", "replace"),
    ("fetching/transfer.py", "unlink"),
    ("cli/main.py", "open"),
    ("file_locks.py", "unlink"),
    ("encoding/chunk_files.py", "File"),
    ("encoding/store.py", "unlink"),
    ("encoding/store.py", "rmdir"),
    ("workbook/runs.py", "unlink"),
    ("sample/world/ship.py", "ZipFile"),
}


def name_of(call: ast.Call) -> tuple[str, str]:
    """The name before the last dot, if it is one, and the last name of what is called."""
    match call.func:
        case ast.Attribute(ast.Name(owner), name):
            return owner, name
        case ast.Attribute(_, name):
            return "", name
        case ast.Name(name):
            return "", name
    return "", ""


def in_memory(tree: ast.AST) -> set[str]:
    """Names that hold a file in memory, or are given one: `file: BinaryIO`."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets, ast.Call() as call) if name_of(call)[1] == "BytesIO":
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.Assign([ast.Tuple(targets)], ast.Tuple(values)):
                for target, value in zip(targets, values, strict=True):
                    if isinstance(value, ast.Call) and name_of(value)[1] == "BytesIO":
                        names.add(target.id)
            case ast.arg(name, ast.Name("BinaryIO")):
                names.add(name)
    return names


def writes(call: ast.Call, memory: set[str]) -> bool:
    """Whether a call may write to a disk."""
    owner, name = name_of(call)
    first = call.args[0] if call.args else None
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    to_memory = isinstance(first, ast.Name) and first.id in memory
    if (owner, name) in OF_MODULE:
        return not to_memory
    if name in RETURNING:
        return bool(call.args) or any(
            k.arg in ("path", "buf", "path_or_buf") for k in call.keywords
        )
    if name in ALWAYS:
        return owner != "ast"
    if name in SAVING:  # a function of ours may be called `save`, and gets no text or path
        return bool(arguments) and not to_memory and not isinstance(call.func, ast.Name)
    if name in OPENING:
        named = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
        at = 0 if isinstance(call.func, ast.Attribute) and name == "open" else 1
        given = [part for one in [*call.args[at:], *named] for part in ast.walk(one)]
        modes = [part.value for part in given if isinstance(part, ast.Constant)]
        modes = [mode for mode in modes if re.fullmatch("[rwxabt+]+", str(mode))]
        return any(set(mode) & set("wax+") for mode in modes)
    return False


def found(path: Path) -> list[tuple[str, str, int]]:
    """What a module writes past the writer: its path in the package, the call, and the line."""
    tree = ast.parse(path.read_text("utf-8"))
    memory = in_memory(tree)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    inner = path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else path.name
    return [(inner, name_of(call)[1], call.lineno) for call in calls if writes(call, memory)]


def test_only_the_writer_writes():
    modules = [path for path in PACKAGE.rglob("*.py") if path not in WRITER]
    others = [one for path in modules for one in found(path) if one[:2] not in ALLOWED]
    assert others == [], "use write_whole, together or replacing of depthclip_core.files"


def test_every_exception_is_needed():
    modules = [path for path in PACKAGE.rglob("*.py") if path not in WRITER]
    assert {one[:2] for path in modules for one in found(path)} == ALLOWED


@pytest.mark.parametrize(
    "line",
    [
        "open(path, 'w')",
        "open(path, mode='xb')",
        "open(path, 'ab' if more else 'wb')",
        "path.open('a')",
        "path.write_text('x')",
        "path.parent.mkdir(parents=True)",
        "figure.savefig(path)",
        "figure.savefig(fname=path)",
        "Image.fromarray(pixels).save(path)",
        "np.save(path, values)",
        "nbformat.write(notebook, path)",
        "table.to_csv(path)",
        "json.dump(value, file)",
        "os.replace(one, other)",
        "shutil.copyfile(one, other)",
        "h5py.File(path, 'w')",
        "ZipFile(path, 'w')",
        "TemporaryDirectory()",
    ],
)
def test_what_writes_is_found(tmp_path, line):
    (tmp_path / "module.py").write_text(f"{line}\n")
    assert len(found(tmp_path / "module.py")) == 1


@pytest.mark.parametrize(
    "line",
    [
        "open(path)",
        "open(path, 'rb')",
        "table.to_csv(index=False)",
        "json.dumps(value)",
        "file = BytesIO()\nfigure.savefig(file)",
        "text.replace('a', 'b')",
        "content_of(figure.savefig, format='png')",
        "h5py.File(path, 'r')",
    ],
)
def test_what_does_not_write_is_passed_over(tmp_path, line):
    (tmp_path / "module.py").write_text(f"{line}\n")
    assert found(tmp_path / "module.py") == []
