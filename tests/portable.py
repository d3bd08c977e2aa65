"""`make portable`: check that notebooks reproduce their saved outputs on other processors.

Each profile limits the number of threads and the instruction sets of oneDNN, ATen, MKL, NumPy,
OpenBLAS and numba; nbval then runs every notebook and compares its outputs. `make test` does so
with all instructions.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

ROOT = Path(__file__).resolve().parents[1]


def numpy_without(*levels: str) -> str:
    """Features for NumPy to disable; it warns about those that this processor lacks."""
    known = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    return " ".join(name for name in known if name.startswith(levels))


PROFILES = {
    "SSE4.1, one thread": {
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "NPY_DISABLE_CPU_FEATURES": numpy_without("X86_V3", "X86_V4", "AVX512"),
        "OPENBLAS_CORETYPE": "NEHALEM",
        "NUMBA_CPU_NAME": "nehalem",
        "NUMBA_CPU_FEATURES": "",
        "OMP_NUM_THREADS": "1",
    },
    "AVX2, two threads": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": numpy_without("X86_V4", "AVX512"),
        "OPENBLAS_CORETYPE": "HASWELL",
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "",
        "OMP_NUM_THREADS": "2",
    },
}


def matches(profile: dict[str, str]) -> bool:
    """Whether all notebooks reproduce their outputs; each profile makes its own network passes."""
    with TemporaryDirectory(prefix="depthclip-store-") as store:
        compare = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env"]
        compare += ["-n", "2", "--dist", "loadfile", "notebooks"]
        environment = {**os.environ, **profile, "DEPTHCLIP_STORE": store}
        return subprocess.run(compare, cwd=ROOT, env=environment).returncode == 0


if __name__ == "__main__":
    failed = []
    for name, profile in PROFILES.items():
        print(f"\n== {name}", flush=True)
        failed += [] if matches(profile) else [name]
    if failed:
        sys.exit(f"FAILED: {'; '.join(failed)}")
    print("\nNotebooks match their saved outputs in every profile.")
