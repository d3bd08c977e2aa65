"""Workers as jobs of Slurm, by dask-jobqueue."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from depthclip_core.cluster.clients import required
from depthclip_core.errors import DepthClipError, first_line, unknown_name

if TYPE_CHECKING:
    from dask_jobqueue import SLURMCluster

# What a job has unless the file says otherwise: no dask configuration of the user is needed.
DEFAULTS = {"cores": 1, "processes": 1, "memory": "16GB", "walltime": "01:00:00"}
LARGEST = 100_000  # bytes of a file


@contextmanager
def slurm_cluster(path: Path) -> Iterator["SLURMCluster"]:
    """The cluster that a .yaml file describes; its jobs end with this block.

    jobs: how many to submit. The other keys are those of dask-jobqueue's `SLURMCluster`, such as
    queue, account, cores, processes, memory, walltime, job_extra_directives (a list) and
    job_script_prologue (a list). Ask for one GPU a job, with processes: 1.
    Raises `DepthClipError` for a file that cannot be read, an unknown key, and jobs that are no
    whole number from 1.
    """
    cluster, jobs = described_cluster(path)
    with cluster:
        cluster.scale(jobs=jobs)
        yield cluster


def described_cluster(path: Path) -> tuple["SLURMCluster", int]:
    """The cluster of a file, without jobs yet, and how many the file asks for."""
    dask_jobqueue = required("dask_jobqueue")
    options = DEFAULTS | read_options(path)
    jobs = options.pop("jobs", 1)
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise DepthClipError(f"{path}: jobs is a whole number from 1, not {jobs!r}")
    known = known_options(dask_jobqueue)
    for name in options:
        if name not in known:
            raise unknown_name(f"key in {path}", name, ["jobs", *known])
    try:
        return dask_jobqueue.SLURMCluster(**options), jobs
    except Exception as error:  # whatever dask-jobqueue makes of the values
        raise DepthClipError(f"{path} describes no cluster: {first_line(error)}") from error


def read_options(path: Path) -> dict[str, object]:
    """The keys and values of a .yaml file; no key of it names code to run here."""
    try:
        if path.stat().st_size > LARGEST:
            raise DepthClipError(f"{path} has more than {LARGEST:,} bytes: it describes no cluster")
        found = yaml.safe_load(path.read_text())
    except OSError as error:
        raise DepthClipError(f"cannot read {path}: {first_line(error)}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise DepthClipError(f"{path} is not YAML: {first_line(error)}") from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise DepthClipError(f"{path} must hold lines such as `jobs: 4` and `queue: gpu`")
    return found


def known_options(dask_jobqueue) -> list[str]:
    """The names of the settings of a Slurm cluster and its jobs."""
    from dask_jobqueue.core import Job

    kinds = dask_jobqueue.SLURMCluster, dask_jobqueue.slurm.SLURMJob, Job
    names = {name for kind in kinds for name in inspect.signature(kind.__init__).parameters}
    ours = {"self", "n_workers", "job_cls", "loop", "asynchronous", "scheduler_cls"}
    return sorted(names - ours - {"job_kwargs", "base_class_kwargs", "scheduler"})
