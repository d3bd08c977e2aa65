"""Renew the table of dependencies in SECURITY.md from what the installed packages say.

.venv/bin/python tests/licences.py
"""

import re
import tomllib
from email.utils import getaddresses
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from depthclip_core.workbook.readme import write_between

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "SECURITY.md"
MARKS = ("<!-- dependencies: tests/licences.py -->", "<!-- end -->")
COLUMNS = ("package", "licence", "maintained by", "for")
MOST_NAMES = 3
LONGEST = 40  # characters of a licence's name; what is longer is its text


def table() -> str:
    """One row for each package of pyproject.toml but those of `render` and `dashboard`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    uses = {"use": project["dependencies"]}
    uses |= {name: project["optional-dependencies"][name] for name in ("cluster", "test", "dev")}
    rows = [
        (linked(name, metadata.metadata(name)), licence(name), maintainers(name), use)
        for use, requirements in uses.items()
        for name in sorted((Requirement(text).name for text in requirements), key=str.lower)
    ]
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def licence(name: str) -> str:
    """The licence that a package names: as an expression, in words, or by its classifier."""
    facts = metadata.metadata(name)
    words = facts.get("License-Expression") or facts.get("License") or ""
    if (
        words
        and "\n" not in words.strip()
        and (facts.get("License-Expression") or len(words) <= LONGEST)
    ):
        return words.strip()
    classifiers = facts.get_all("Classifier") or []
    named = [line.rpartition("::")[2].strip() for line in classifiers if "License ::" in line]
    return ", ".join(named)


def maintainers(name: str) -> str:
    """Who maintains a package by its own word, or, where it names nobody, who owns its source."""
    facts = metadata.metadata(name)
    for kind in ("Maintainer", "Author"):
        names = [part.strip() for part in (facts.get(kind) or "").split(",")]
        names += [person for person, _ in getaddresses([facts.get(f"{kind}-email") or ""])]
        known = [n for n in dict.fromkeys(names) if n and n != "Unknown" and "@" not in n]
        if known:
            return ", ".join(known[:MOST_NAMES]) + (" and others" if known[MOST_NAMES:] else "")
    owner = re.search(r"//(?:github\.com/([^/]+)|([^/]+))", home(facts) or "")
    return (owner[1] or owner[2]) if owner else ""


def linked(name: str, facts: metadata.PackageMetadata) -> str:
    """A package's name, with a link to its source or its page."""
    return f"[{name}]({home(facts)})" if home(facts) else name


def home(facts: metadata.PackageMetadata) -> str | None:
    """Where a package's source lies, or its page."""
    lines = [line.partition(",")[::2] for line in facts.get_all("Project-URL") or []]
    addresses = {label.strip().lower(): address.strip() for label, address in lines}
    labels = ("source", "source code", "source-code", "code", "repository", "github", "homepage")
    found = [addresses[label] for label in labels if label in addresses]
    return next(iter([*found, facts.get("Home-page"), *addresses.values()]), None)


if __name__ == "__main__":
    write_between(PAGE, MARKS, table())
