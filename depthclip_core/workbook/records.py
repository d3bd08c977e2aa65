"""The record that a run leaves beside its notebook, as JSON: what ran, where, and how it ended."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import metadata
from platform import python_version

import nbformat

from depthclip_core.errors import DepthClipError
from depthclip_core.workbook.plans import Plan, record_path

PACKAGES = ("depthclip-workbook", "torch", "open_clip_torch", "numpy")


def record(
    plan: Plan, ended: Mapping[str, object], machine: Mapping[str, object], started: datetime
) -> None:
    """Write NAME.json beside a run's notebook: what ran, where, for how long, and how it ended.

    ended: seconds, outcome, and failed, with cell, source and error, or None.
    """
    content = {
        "notebook": str(plan.notebook),
        "sha256": hashlib.sha256(nbformat.writes(plan.content).encode()).hexdigest(),
        "parameters": plan.parameters,
        "started": started.isoformat(timespec="seconds"),
        **ended,
        "kernel": plan.kernel,
        "device": machine["devices"].get(plan.parameters.get("device")),
        "commit": machine["commit"],
        "versions": machine["versions"],
    }
    path = record_path(plan.output)
    part = path.parent / ".part" / path.name
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
    part.replace(path)


def machine_of(plans: Sequence[Plan]) -> dict[str, object]:
    """Commit, versions, and for each value of a parameter `device` the name of what it chooses."""
    from depthclip_core.checkout import commit

    asked = [plan.parameters.get("device") for plan in plans]
    chosen = {device for device in asked if isinstance(device, str)}
    versions = {"python": python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "commit": commit(),
        "versions": versions,
        "devices": {asked: device_of(asked) for asked in chosen},
    }


def device_of(asked: str) -> str:
    """The name of the processor or card that "auto", "cpu", "cuda" ... stands for."""
    from depthclip_core.devices import device_name, resolve_device  # torch, seconds

    try:
        return device_name(resolve_device(asked))
    except DepthClipError:  # the notebook will say so
        return asked
