"""Devices: which one a run uses, what it is called, and exact arithmetic on it."""

import platform
import re
from contextlib import contextmanager
from pathlib import Path

import torch

from depthclip_core.errors import DepthClipError, first_line


def resolve_device(device: str | torch.device) -> torch.device:
    """ "auto" is CUDA where there is one; `DepthClipError` for a device that is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DepthClipError(f"device {device!s} cannot be used: {first_line(error)}") from error
    return device


def device_name(device: torch.device) -> str:
    """The name of a card, or of this machine's processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    name = names[0] if names else platform.processor() or platform.machine()
    return re.sub(r"\((R|TM)\)|\s+", " ", name).replace("  ", " ").strip()


@contextmanager
def exact_gpu(device: torch.device):
    """Without TensorFloat-32, whose 10 bits would make a GPU's fp32 a name only."""
    if device.type != "cuda":
        yield
        return
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = False
    try:
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before
