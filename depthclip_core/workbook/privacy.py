"""Remove from results what says where they were made: absolute paths, and secrets.

Notebooks, records and reports are passed on. A path below the current folder becomes relative, one
in the user's home starts with `~`, and of any other only its end stays: "…/name". The values of
environment variables that are named like secrets, and what has the form of a token, become the
name of what they are.
"""

import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from urllib.parse import quote

from nbformat import NotebookNode

from depthclip_core.workbook.parameters import INJECTED, tagged

SECRET_NAME = re.compile(
    r"token|secret|passw|passphrase|api_?key|access_?key|private_?key|credential|cookie|_auth\b|_pat\b",
    re.IGNORECASE,
)
SHORTEST_SECRET = 6  # characters; a shorter value would be found everywhere
TOKENS = {
    "password in an address": re.compile(r"(?<=://)[^\s/@:'\"<>]+:[^\s/@'\"<>]+(?=@)"),
    "private key": re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL
    ),
    "token": re.compile(
        r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{16,}"
        r"|sk-[\w-]{20,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{35}"
        r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,})|(?<=Bearer )[\w.~+/-]{12,}=*"
    ),
}
FOLDERS = (
    "Applications Library System Users Volumes bin boot data dev etc home lib lib64 lustre media "
    "mnt net nfs nix opt private proc project projects root run sbin scratch srv sys tmp usr var "
    "work workspace"
).split()  # what paths start with, beside the folders of this machine
SLASH = r"(?:\\*/|%2[Ff])"  # also as JSON and addresses write it
BACKSLASH = r"(?:\\{1,4}|%5[Cc])"
PART = r"[^\s/\\'\"<>|:*?,;()\[\]{}%`\x1b]+"
BEFORE = (
    r"(?:^|(?<=[^\w/.~+%…-])|(?<=\x1b\[[0-9]m)|(?<=\x1b\[[0-9]{2}m)|(?<=\x1b\[[0-9];[0-9]{2}m))"
)


def without_private(text: str) -> str:
    """The text without absolute paths and secrets; see this module."""
    for secret, name in _secrets(tuple(filter(_is_secret, os.environ.items()))):
        text = text.replace(secret, f"[{name}]")
    for kind, pattern in TOKENS.items():
        text = pattern.sub(f"[{kind}]", text)
    for name, pattern, short in _known(_here()):
        if name in text:
            text = pattern.sub(short, text)
    quick, other = _other()
    return other.sub(_end, text) if quick.search(text) else text


def clean_values(value: object) -> object:
    """The same for every text, and every name, in lists and mappings."""
    if isinstance(value, str):
        return without_private(value)
    if isinstance(value, Mapping):
        return {clean_values(key): clean_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_values(item) for item in value]
    return value


def clean_notebook(notebook: NotebookNode) -> NotebookNode:
    """A copy of a notebook without it in outputs, parameters and metadata.

    The author's own text and code stay as they are, and so do pictures. The notebook itself does
    too: it may still be running, with the paths that it was given.
    """
    notebook = deepcopy(notebook)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            for key in ("text", "ename", "evalue", "traceback", "metadata"):
                if key in output:
                    output[key] = clean_values(output[key])
            for kind in output.get("data", ()):
                if kind == "image/svg+xml" or not kind.startswith(("image/", "video/", "audio/")):
                    output.data[kind] = clean_values(output.data[kind])
    for cell in tagged(notebook, INJECTED):
        cell.source = without_private(cell.source)
    for key in ("papermill", "widgets"):
        if key in notebook.metadata:
            notebook.metadata[key] = clean_values(notebook.metadata[key])
    return notebook


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # removed meanwhile
        return ""


def _is_secret(variable: tuple[str, str]) -> bool:
    name, value = variable
    names_a_file = os.path.isabs(value) and len(Path(value).parts) > 2  # where a secret lies
    return bool(SECRET_NAME.search(name)) and len(value) >= SHORTEST_SECRET and not names_a_file


@cache
def _secrets(variables: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The values of variables, in each way that they may be written, and the variables' names."""
    found = {
        form: name
        for name, value in variables
        for form in (value, quote(value, safe=""), quote(value), json.dumps(value)[1:-1])
    }
    return sorted(found.items(), key=lambda pair: len(pair[0]), reverse=True)


@cache
def _known(here: str) -> list[tuple[str, re.Pattern, str]]:
    """Folders of this machine, the longest first: a name in it, a pattern, what to write for it."""
    library = sysconfig.get_path("purelib")
    shorts = {library: "…/site-packages", sys.prefix: "…", sys.base_prefix: "…"}
    shorts[sysconfig.get_path("stdlib")] = "…/python"
    own = map(os.environ.get, ("DEPTHCLIP_DATA", "DEPTHCLIP_STORE", "DEPTHCLIP_FIGURES"))
    shorts |= dict.fromkeys((folder for folder in own if folder and os.path.isabs(folder)), "…")
    shorts |= dict.fromkeys(_both(os.path.expanduser("~")), "~")
    shorts |= dict.fromkeys(_both(here) if here else (), ".")
    folders = sorted((folder for folder in shorts if len(Path(folder).parts) > 1), key=len)
    return [form for folder in reversed(folders) for form in _forms(folder, shorts[folder])]


def _both(folder: str) -> list[str]:
    return [folder, os.path.realpath(folder)]


def _forms(folder: str, short: str) -> Iterator[tuple[str, re.Pattern, str]]:
    """A folder as paths, JSON and addresses write it."""
    names = re.split(r"[/\\]", folder)
    for written in dict.fromkeys([tuple(names), tuple(quote(name, safe="") for name in names)]):
        path = rf"(?:{SLASH}|{BACKSLASH})".join(map(re.escape, written))
        head = rf"(?:file:(?://)?(?:localhost)?)?(?<![\w.~…-]){path}"
        if short == ".":  # what lies below is relative; the folder itself is "."
            yield written[-1], re.compile(rf"{head}(?:{SLASH}|{BACKSLASH})(?=[\w.])"), ""
        yield written[-1], re.compile(rf"{head}(?=$|[^\w.-])"), short


@cache
def _other() -> tuple[re.Pattern, re.Pattern]:
    """A quick look for any other absolute path, of whatever machine; and the path itself."""
    own = [] if os.name == "nt" else [name for name in os.listdir("/") if not name.startswith(".")]
    starts = "|".join(map(re.escape, sorted({*FOLDERS, *own}, key=len, reverse=True)))
    posix = rf"{SLASH}(?:{starts})(?:{SLASH}{PART})+{SLASH}?"
    drive = rf"[A-Z]:(?:{BACKSLASH}|/)(?:{PART}(?:{BACKSLASH}|/))+(?:{PART})?"
    share = rf"{BACKSLASH}{BACKSLASH}{PART}(?:{BACKSLASH}{PART}){{2,}}"
    address = r"(?:file:(?://)?/?(?:localhost)?)"
    quick = rf"/(?:{starts})[/\\]|:[/\\]|\\\\|%2[Ff]|%5[Cc]"
    quoted = rf"(?<=['\"])/(?:{starts})/[^'\"\n<>]*(?=['\"])"  # may hold spaces
    whole = rf"{quoted}|(?:{address}|{BEFORE})(?:{posix}|{drive}|{share})"
    return re.compile(quick), re.compile(whole)


def _end(found: re.Match) -> str:
    """The last part of a path."""
    parts = [part for part in re.split(r"[/\\]+|%2[Ff]|%5[Cc]", found[0]) if part]
    return f"…/{parts[-1]}"
