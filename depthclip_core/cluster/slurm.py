"""Workers as jobs of Slurm, by dask-jobqueue."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from depthclip_core.cluster.clients import required
from depthclip_core.datasets.incoming import read_file
from depthclip_core.errors import DepthClipError, first_line, unknown_name

if TYPE_CHECKING:
    from dask_jobqueue import SLURMCluster

# What a job has unless the file says otherwise: no dask configuration of the user is needed.
DEFAULTS = {"cores": 1, "processes": 1, "memory": "16GB", "walltime": "01:00:00"}
LARGEST = 100_000  # bytes of a file
COUNTS = {"jobs": 10_000, "cores": 10_000, "processes": 10_000}  # whole numbers, and their bounds
LISTS = {"worker_extra_args", "job_script_prologue", "job_extra_directives"}
# YAML reads 10:00:00 as the number 36000, which Slurm takes for minutes.
TEXTS = {"walltime": '"10:00:00"', "memory": '"16GB"'}


@contextmanager
def slurm_cluster(path: Path) -> Iterator["SLURMCluster"]:
    """The cluster that a .yaml file describes; its jobs end with this block.

    jobs: how many to submit. The other keys are those of dask-jobqueue's `SLURMCluster`, such as
    queue, account, cores, processes, memory, walltime, job_extra_directives (a list) and
    job_script_prologue (a list). Ask for one GPU a job, with processes: 1.
    Raises `DepthClipError` for a file that cannot be read, an unknown key, and a value that is no
    such number or text.
    """
    cluster, jobs = described_cluster(path)
    with cluster:
        cluster.scale(jobs=jobs)
        yield cluster


def described_cluster(path: Path) -> tuple["SLURMCluster", int]:
    """The cluster of a file, without jobs yet, and how many the file asks for."""
    dask_jobqueue = required("dask_jobqueue")
    options = {"jobs": 1} | DEFAULTS | read_options(path)
    _check_values(path, options)
    jobs = options.pop("jobs")
    known = known_options(dask_jobqueue)
    for name in options:
        if name not in known:
            raise unknown_name(f"key in {path}", name, ["jobs", *known])
    try:
        return dask_jobqueue.SLURMCluster(**_one_task_at_a_time(options)), jobs
    except Exception as error:  # whatever dask-jobqueue makes of the values
        raise DepthClipError(f"{path} describes no cluster: {first_line(error)}") from error


def _one_task_at_a_time(options: dict[str, object]) -> dict[str, object]:
    """The options of workers that do one task at a time, each with its share of the job's cores.

    dask would give a worker a task for each core, and torch one thread.
    """
    threads = options["cores"] // options["processes"]
    own = {
        "worker_extra_args": [*options.get("worker_extra_args", []), "--nthreads", "1"],
        "job_script_prologue": [
            f"export OMP_NUM_THREADS={threads}",
            *options.get("job_script_prologue", []),
        ],
    }
    return options | own


def read_options(path: Path) -> dict[str, object]:
    """The keys and values of a .yaml file; no key of it names code to run here."""
    try:
        text = read_file(path, "description of a cluster", LARGEST).decode("utf-8-sig")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            # A few lines of them stand for billions of values.
            raise DepthClipError(f"{path} has an alias (*name): write out the value instead")
        found = yaml.safe_load(text)
    except DepthClipError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DepthClipError(f"{path} is not YAML: {first_line(error)}") from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise DepthClipError(f"{path} must hold lines such as `jobs: 4` and `queue: gpu`")
    return found


def _check_values(path: Path, options: dict[str, object]) -> None:
    for name, most in COUNTS.items():
        value = options[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            limits = f"a whole number from 1 to {most:,}"
            raise DepthClipError(f"{path}: {name} is {limits}, not {value!r}")
    if options["cores"] < options["processes"]:
        counts = f"{options['cores']} cores for {options['processes']} processes"
        raise DepthClipError(f"{path} has {counts}: each process needs a core of its own")
    for name in LISTS & options.keys():
        value = options[name]
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise DepthClipError(f'{path}: {name} is a list of texts, such as ["a", "b"]')
    for name, example in TEXTS.items():
        if not isinstance(options[name], str):
            raise DepthClipError(f"{path}: write {name} in quotes, such as {name}: {example}")


def known_options(dask_jobqueue) -> list[str]:
    """The names of the settings of a Slurm cluster and its jobs."""
    from dask_jobqueue.core import Job

    kinds = dask_jobqueue.SLURMCluster, dask_jobqueue.slurm.SLURMJob, Job
    names = {name for kind in kinds for name in inspect.signature(kind.__init__).parameters}
    ours = {"self", "n_workers", "job_cls", "loop", "asynchronous", "scheduler_cls"}
    return sorted(names - ours - {"job_kwargs", "base_class_kwargs", "scheduler"})
