"""Notebooks on a cluster: each run is a task, and leaves what it leaves without a cluster."""

import asyncio
import contextlib
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING

from distributed import Worker, WorkerPlugin, get_worker
from tqdm.auto import tqdm

from depthclip_core.cluster.tasks import completed
from depthclip_core.errors import DepthClipError
from depthclip_core.files import claimed
from depthclip_core.workbook import runs
from depthclip_core.workbook.plans import Plan

if TYPE_CHECKING:
    from distributed import Client

CLEANING_UP = 30  # seconds in which workers end their kernels and write the records


class Runner(WorkerPlugin):
    """Lets the notebook that a worker runs be interrupted."""

    def __init__(self):
        self.name = f"depthclip-{uuid.uuid4().hex}"

    def setup(self, worker: Worker) -> None:
        self.stop, self.idle = Event(), Event()
        self.idle.set()
        self.folder = Lock()  # one notebook at a time: a process has one current folder


def run(
    client: "Client",
    plans: Sequence[Plan],
    *,
    timeout: float | None = None,
    figures: str | Path | None = None,
    progress: bool = False,
    about: Mapping[str, object] | None = None,
    facts: Mapping[str, str] | None = None,
) -> list[runs.NotebookRun]:
    """Run notebooks as planned, as many at once as there are workers; as `workbook.runs.run`.

    Workers must share this folder and that of the results. If this process is interrupted, running
    notebooks end with a record, and the others do not begin.
    """
    for plan in plans:
        with claimed(plan.output):
            pass
    plugin = Runner()
    client.register_plugin(plugin)
    figures = None if figures is None else Path(figures).absolute()
    how = {"timeout": timeout, "figures": figures, "about": about, "facts": facts}
    found: list = [None] * len(plans)
    arguments = [(plugin.name, str(Path.cwd()), plan, how) for plan in plans]
    bar = tqdm(total=len(plans), unit="run", disable=None if progress else True)
    try:
        with bar:
            for place, ended in completed(client, run_one, arguments):
                found[place] = ended
                bar.update()
                if progress:
                    bar.write(str(ended))
    except BaseException:
        client.run(interrupt, plugin.name)
        raise
    finally:
        client.unregister_worker_plugin(plugin.name)
    return found


def run_one(name: str, folder: str, plan: Plan, how: Mapping) -> runs.NotebookRun:
    """In a worker: run a notebook from the folder in which the command was given."""
    runner = get_worker().plugins[name]
    with runner.folder:
        runner.idle.clear()
        try:
            if runner.stop.is_set():
                raise DepthClipError("interrupted before it began")
            with contextlib.chdir(folder):
                return runs.run([plan], 1, **how, stop=runner.stop)[0]
        finally:
            runner.idle.set()


async def interrupt(name: str, dask_worker: Worker) -> None:
    """In a worker: interrupt its notebook, and wait until it has left its record."""
    runner = dask_worker.plugins[name]
    runner.stop.set()
    await asyncio.to_thread(runner.idle.wait, CLEANING_UP)
