"""Connect to a cluster: one that runs already, processes of this machine, or jobs of Slurm."""

import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import torch

from depthclip_core.cores import usable_cores
from depthclip_core.errors import DepthClipError, first_line
from depthclip_core.files import temporary_folder, user_path

if TYPE_CHECKING:
    from distributed import Client, SpecCluster

KINDS = "tcp://HOST:PORT or tls://HOST:PORT, local:N with N from 1, or a .yaml file for Slurm"
MOST_LOCAL = 256  # worker processes of one machine
PATIENCE = 30  # seconds in which a scheduler must answer
PORT = 8786  # of a scheduler, unless its address says another
LOOPBACK = "127.0.0.1"


@contextmanager
def connected(where: str, announce: bool = True) -> Iterator["Client"]:
    """A client of the cluster that `where` names.

    "tcp://HOST:PORT", "tls://…": a scheduler that runs already, and goes on afterwards.
    "local:N": N worker processes on this machine, which end with this block. They share its
        processors; where it has GPUs, each worker sees one of them.
    "FILE.yaml": jobs of Slurm, see `slurm.slurm_cluster`; they end with this block.
    announce: print the address of dask's dashboard to stderr.
    Raises `DepthClipError` for anything else, for a scheduler that does not answer, and where
    dask.distributed is not installed.
    """
    distributed = required("distributed")
    with ExitStack() as stack:
        if re.match(r"(tcp|tls)://", where):
            client = stack.enter_context(_remote(distributed, where))
        elif where.startswith("local:"):
            cluster = stack.enter_context(local_cluster(_count_of(where)))
            client = stack.enter_context(distributed.Client(cluster))
        elif Path(where).suffix in (".yaml", ".yml"):
            from depthclip_core.cluster.slurm import slurm_cluster

            cluster = stack.enter_context(slurm_cluster(user_path(where)))
            client = stack.enter_context(distributed.Client(cluster))
        else:
            raise DepthClipError(f"{where!r} names no cluster: give {KINDS}")
        if announce:
            print(f"dashboard of the cluster: {client.dashboard_link}", file=sys.stderr)
        yield client


@contextmanager
def local_cluster(n_workers: int) -> Iterator["SpecCluster"]:
    """Worker processes of this machine, each with one thread for tasks.

    They speak to one another on 127.0.0.1, encrypted, so that no other user of the machine can
    give them work.
    """
    distributed = required("distributed")
    security = distributed.Security.temporary()
    with temporary_folder() as folder:
        shared = {
            "nthreads": 1,
            "host": LOOPBACK,
            "security": security,
            "local_directory": str(folder),
            "memory_limit": 0,  # dask would pause or end workers; what passes take is bounded
            "silence_logs": "CRITICAL",
            "dashboard": False,
        }
        workers = {
            place: {"cls": distributed.Nanny, "options": shared | {"env": environment}}
            for place, environment in enumerate(environments(n_workers))
        }
        options = {"host": LOOPBACK, "protocol": "tls", "security": security}
        options |= {"dashboard": True, "dashboard_address": f"{LOOPBACK}:0"}
        scheduler = {"cls": distributed.Scheduler, "options": options}
        settings = {"security": security, "silence_logs": "CRITICAL"}
        with distributed.SpecCluster(workers, scheduler, **settings) as cluster:
            yield cluster


def environments(n_workers: int) -> list[dict[str, str]]:
    """Variables for each worker of this machine: its share of processors, and its GPU if any.

    With more workers than GPUs, several share one.
    """
    threads = os.environ.get("OMP_NUM_THREADS") or max(1, usable_cores() // n_workers)
    cards = _visible_cards()
    found = []
    for place in range(n_workers):
        own = {"OMP_NUM_THREADS": str(threads)}
        if cards:
            own["CUDA_VISIBLE_DEVICES"] = cards[place % len(cards)]
        found.append(own)
    return found


def _visible_cards() -> list[str]:
    """The names by which CUDA_VISIBLE_DEVICES selects the GPUs that this process may use."""
    count = torch.cuda.device_count()
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [name.strip() for name in given.split(",")] if given else map(str, range(count))
    return list(names)[:count]


def required(module: str) -> ModuleType:
    """A module of the extra `cluster`; `DepthClipError` where it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        install = "pip install 'depthclip-workbook[cluster]'"
        raise DepthClipError(f"{first_line(error)}: for clusters, {install}") from error


def _count_of(where: str) -> int:
    text = where.removeprefix("local:")
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= MOST_LOCAL:
        raise DepthClipError(f"{where!r}: N of local:N is a whole number from 1 to {MOST_LOCAL}")
    return int(text)


@contextmanager
def _remote(distributed: ModuleType, address: str) -> Iterator["Client"]:
    try:
        # First by a plain connection: a client that finds nobody may make the next one wait.
        place = urlsplit(address)
        socket.create_connection((place.hostname, place.port or PORT), PATIENCE).close()
        client = distributed.Client(address, timeout=PATIENCE)
    except Exception as error:  # of many kinds, such as TypeError for tls without certificates
        fault = f"no scheduler answers at {address}: {first_line(error)}"
        hint = "start one with `dask scheduler`, or give local:N"
        raise DepthClipError(f"{fault}: {hint}") from error
    with client:
        yield client
