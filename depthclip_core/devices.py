"""Devices: which one a run uses, its name, what it computes fast, and exact arithmetic on it."""

import os
import platform
import re
import warnings
from collections.abc import Set
from contextlib import contextmanager
from pathlib import Path

import torch

from depthclip_core.cores import usable_cores
from depthclip_core.errors import DepthClipError, Notice, first_line

# Linux's names for bf16 in vector and matrix instructions: AVX-512 and AMX on x86-64, NEON on ARM.
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def resolve_device(device: str | torch.device) -> torch.device:
    """The device of that name; "auto" is CUDA where there is one that works, else the CPU.

    torch is kept to the processors that this process may use, unless OMP_NUM_THREADS says how many.
    Raises `DepthClipError` for a device that this machine lacks, or that its driver or this torch
    cannot use. "auto" warns of such a card.
    """
    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > usable_cores():
        torch.set_num_threads(usable_cores())  # torch knows affinity, but no control groups
    if isinstance(device, str) and device == "auto":
        return _best_device()
    try:
        device = torch.device(device)
        torch.zeros(1, device=device).item()  # fails on a device without memory, such as "meta"
    except (RuntimeError, AssertionError, TypeError) as error:
        raise DepthClipError(f"device {device!s} cannot be used: {first_line(error)}") from error
    return device


def _best_device() -> torch.device:
    with warnings.catch_warnings(
        record=True
    ) as caught:  # torch's lines on a driver that is too old
        warnings.simplefilter("always")
        found = torch.cuda.is_available()
    fault = str(caught[0].message) if caught and not found else ""
    if found:
        try:
            return resolve_device("cuda")
        except DepthClipError as error:
            fault = str(error)
    if fault:
        fault = first_line(RuntimeError(fault))
        warnings.warn(f"no GPU is used, the processor computes: {fault}", Notice, stacklevel=4)
    return torch.device("cpu")


def card_precisions(device: torch.device) -> tuple[str, ...]:
    """The precisions that a GPU computes in by itself, fp32 first."""
    capability = torch.cuda.get_device_capability(device)
    least = {"fp32": (0, 0), "fp16": (5, 3), "bf16": (8, 0)}
    return tuple(precision for precision, needed in least.items() if capability >= needed)


def device_name(device: torch.device) -> str:
    """The name of a card, or of this machine's processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = _cpuinfo("model name") or platform.processor() or platform.machine()
    return " ".join(re.sub(r"\((R|TM)\)", " ", name).split())


def _cpuinfo(pattern: str) -> str:
    """Linux's first entry about the processor whose name matches; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    entry = re.search(rf"^({pattern})[ \t]*:(?P<value>.*)", text, re.MULTILINE)
    return entry["value"] if entry else ""


def has_bf16(flags: Set[str] | None = None) -> bool:
    """Whether a processor multiplies in bf16; assumed where its flags are not known.

    flags: those of another processor than this one.
    """
    flags = set(_cpuinfo("flags|Features").split()) if flags is None else flags
    return not flags or bool(BF16_FLAGS & flags)


@contextmanager
def exact_gpu(device: torch.device):
    """Without TensorFloat-32, whose 10-bit mantissa is far from fp32."""
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
