"""Notebooks run in order: parameters checked first, many at once, a record beside each result.

A strict front for papermill, which only warns of a name that it does not know, takes any value,
and whose metadata says "completed" of a cell that ran out of time or a kernel that died.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import nbformat
import psutil
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from tqdm.auto import tqdm

from depthclip_core.errors import DepthClipError
from depthclip_core.workbook.plans import Plan, plan, record_path
from depthclip_core.workbook.records import machine_of, record


@dataclass(frozen=True)
class Run:
    """One notebook run: what, with what, and how it ended.

    notebook: its source. output: the executed notebook, and record, the JSON beside it.
    parameters: all of them, defaults included. outcome: "ok", "failed" or "interrupted".
    cell: the number of the cell that failed, as its In [ ] shows it, and source, that cell's first
    line; error: the error's first line. All three are None where nothing failed.
    """

    notebook: Path
    output: Path
    record: Path
    parameters: dict[str, object]
    outcome: str
    seconds: float
    cell: int | None = None
    source: str | None = None
    error: str | None = None

    def __str__(self) -> str:
        if self.outcome == "ok":
            return f"ok      {self.output.stem}, {self.seconds:.1f} s"
        where = f"cell {self.cell} (`{self.source}`): " if self.cell else ""
        return f"{self.outcome.upper()}: {self.output.stem}: {where}{self.error or ''}"


@dataclass
class Progress:
    """How far a run is, for whoever watches it from another thread."""

    cell: int = 0
    source: str = ""
    running: bool = False
    clients: list = field(default_factory=list)  # of its kernel, for whoever has to end it


class Stopped(Exception):
    """The user broke off."""


def run(
    notebooks: str | Path | Sequence[str | Path],
    parameters: Mapping[str, object] | None = None,
    grid: Mapping[str, Sequence] | None = None,
    out: str | Path = "results/runs",
    workers: int | None = None,
    *,
    timeout: float | None = None,
    kernel: str | None = None,
    figures: str | Path | None = None,
    text: bool = False,
    progress: bool = False,
) -> list[Run]:
    """Run notebooks with these parameters, each once for every combination in the grid.

    Everything is checked before anything runs: files, kernels, names, types; `DepthClipError` says
    what is wrong. A run that fails raises nothing: see its outcome. In a kernel the folder is the
    caller's, as for papermill.

    out: gets NAME.ipynb and NAME.json for each run. workers: how many at once; half the cores.
    timeout: seconds that a cell may take. kernel: instead of the notebooks' own. figures: where all
    runs draw; else each into a folder of its own in `out`/figures. text: values are text to be read
    as their types; those of the grid with commas, or a JSON list.
    progress: show a bar, and a line for each run that ended.
    """
    plans = plan(notebooks, parameters or {}, grid or {}, out, kernel=kernel, text=text)
    workers = max(1, (os.cpu_count() or 1) // 2) if workers is None else workers
    if workers < 1:
        raise DepthClipError(f"workers must be at least 1, got {workers}")
    if timeout is not None and timeout <= 0:
        raise DepthClipError(f"the time for a cell must be positive, got {timeout}")
    folder = None if figures is None else Path(figures).absolute()
    return _run_all(plans, min(workers, len(plans)), timeout, folder, progress)


def error_inside(notebook: NotebookNode) -> tuple[NotebookNode | None, str] | None:
    """The first error that an executed notebook shows: its cell, None in a widget, and its line."""
    widgets = notebook.metadata.get("widgets", {})
    models = widgets.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    shown = [(cell, o) for cell in notebook.cells for o in cell.get("outputs", [])]
    shown += [(None, o) for m in models.values() for o in m.get("state", {}).get("outputs", [])]
    for cell, output in shown:
        if output["output_type"] == "error":
            return cell, _error_line(output["ename"], output["evalue"])
    return None


def _run_all(
    plans: Sequence[Plan],
    workers: int,
    timeout: float | None,
    figures: Path | None,
    progress: bool,
) -> list[Run]:
    """Every plan, some at a time; when broken off, kernels are ended and what ran is recorded."""
    watched = [Progress() for _ in plans]
    totals = [len(_code_cells(plan.content)) + bool(plan.given) for plan in plans]
    stop = threading.Event()
    bar = tqdm(
        total=sum(totals),
        unit=" cells",
        disable=None if progress else True,  # None: shown where there is a terminal
        bar_format="{desc} {bar} {n_fmt}/{total_fmt} cells, {elapsed}{postfix}",
    )
    engine = _engine()
    with bar, _quiet(), ThreadPoolExecutor(workers) as pool, ThreadPoolExecutor(1) as aside:
        machine = aside.submit(machine_of, plans)  # torch is imported while the first kernels start
        futures = {
            pool.submit(
                _run_one, plan, engine, machine, watch, stop, timeout, figures, workers
            ): index
            for index, (plan, watch) in enumerate(zip(plans, watched, strict=True))
        }
        waiting = set(futures)
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in done:
                    watched[futures[future]].cell = totals[futures[future]]
                    if progress:
                        bar.write(str(future.result()))
                running = [
                    f"{plan.output.stem} [{watch.cell}]"
                    for plan, watch in zip(plans, watched, strict=True)
                    if watch.running
                ]
                bar.set_description_str(f"{len(plans) - len(waiting)}/{len(plans)} runs", False)
                bar.set_postfix_str("; ".join(running), False)
                bar.n = sum(watch.cell for watch in watched)
                bar.refresh()
        except KeyboardInterrupt:
            stop.set()
            for future in futures:
                future.cancel()
            while wait(futures, timeout=0.2).not_done:
                for client in [client for watch in watched for client in watch.clients]:
                    _end_kernel(client)
            raise
        finally:
            for folder in {plan.output.parent / ".part" for plan in plans}:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
    return [future.result() for future in futures]


def _run_one(
    plan: Plan,
    engine: str,
    machine: Future,
    watch: Progress,
    stop: threading.Event,
    timeout: float | None,
    figures: Path | None,
    workers: int,
) -> Run:
    """Run one notebook into .part/, move it beside its record when it ended, however it ended."""
    import papermill  # seconds, which no other command should wait for
    from papermill.exceptions import PapermillExecutionError

    part = plan.output.parent / ".part" / plan.output.name
    part.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "DEPTHCLIP_FIGURES": str(figures or _figures(plan))}
    if workers > 1:  # else every kernel would take every core
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

    def begin(cell: NotebookNode, cell_index: int) -> None:
        if stop.is_set():
            raise Stopped
        if _is_run(cell):
            watch.cell, watch.source = watch.cell + 1, cell.source

    started, clock = datetime.now().astimezone(), time.perf_counter()
    outcome, cell, source, error = "ok", None, None, None
    watch.running = True
    try:
        executed = papermill.execute_notebook(
            _escaped(plan.notebook.absolute()),
            _escaped(part),
            plan.given,
            engine_name=engine,
            kernel_name=plan.kernel,
            language="python",
            progress_bar=False,
            execution_timeout=timeout,
            environment=environment,
            clients=watch.clients,
            on_cell_start=begin,
        )
        if found := error_inside(executed):
            at, error = found
            cell, source = (at.execution_count, at.source) if at else (None, None)
            error = error if at else f"in a widget: {error}"
        elif any(c.execution_count is None for c in _code_cells(executed)):
            error = "it ended before its last cell"
            cell, source = watch.cell, watch.source
    except PapermillExecutionError as failure:
        error = _error_line(failure.ename, failure.evalue)
        cell, source = failure.exec_count or watch.cell, failure.source
    except Exception as failure:
        error, cell, source = _reason(failure, timeout), watch.cell or None, watch.source
        if part.exists():
            _mark(part, failure, error, cell)
    finally:
        watch.running = False
    if error:
        outcome = "interrupted" if stop.is_set() else "failed"
        error = "interrupted" if stop.is_set() else error
    ended = Run(
        notebook=plan.notebook,
        output=plan.output,
        record=record_path(plan.output),
        parameters=plan.parameters,
        outcome=outcome,
        seconds=round(time.perf_counter() - clock, 3),
        cell=cell,
        source=_first_statement(source) if cell else None,
        error=error,
    )
    if part.exists():
        part.replace(plan.output)
    failed = {"cell": ended.cell, "source": ended.source, "error": ended.error} if error else None
    how = {"seconds": ended.seconds, "outcome": ended.outcome, "failed": failed}
    record(plan, how, machine.result(), started)
    return ended


def _engine() -> str:
    """papermill's own engine, but the kernel gets an environment and can be ended from outside."""
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.log import logger

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(
            cls, nb_man, kernel_name, *, environment, clients, on_cell_start,
            start_timeout=60, execution_timeout=None, **unused,
        ):  # fmt: skip
            client = PapermillNotebookClient(
                nb_man,
                kernel_name=kernel_name,
                timeout=execution_timeout,
                startup_timeout=start_timeout,
                on_cell_start=on_cell_start,
                extra_arguments=["--IPKernelApp.log_level=50"],
                log=logger,
            )
            clients.append(client)
            client.execute(env=environment)

    papermill_engines.register("depthclip", Engine)
    return "depthclip"


def _mark(part: Path, failure: Exception, error: str, number: int | None) -> None:
    """Write into a notebook why it stopped, where papermill's metadata says it was completed."""
    notebook = nbformat.read(part, as_version=4)
    notebook.metadata.get("papermill", {})["exception"] = True
    for cell in _code_cells(notebook)[(number or 1) - 1 :][:1]:
        cell.outputs.append(
            nbformat.v4.new_output(
                "error", ename=type(failure).__name__, evalue=error, traceback=[error]
            )
        )
    nbformat.write(notebook, part)


def _reason(failure: Exception, timeout: float | None) -> str:
    if isinstance(failure, CellTimeoutError):
        return f"the cell took more than {timeout:g} s"
    if isinstance(failure, DeadKernelError):
        return "the kernel died"
    return _error_line(type(failure).__name__, failure)


def _end_kernel(client) -> None:
    """Kill a kernel and its children; nothing where it has not started or has ended."""
    pid = getattr(getattr(client.km, "provisioner", None), "pid", None)
    if pid is None:
        return
    try:
        kernel = psutil.Process(pid)
        for process in [*kernel.children(recursive=True), kernel]:
            process.kill()
    except psutil.NoSuchProcess:
        pass


@contextmanager
def _quiet() -> Iterator[None]:
    """papermill's log is silent inside: what matters of it is an outcome here."""
    logger = logging.getLogger("papermill")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _figures(plan: Plan) -> Path:
    return plan.output.parent / "figures" / plan.output.stem


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if _is_run(cell)]


def _is_run(cell: NotebookNode) -> bool:
    skipped = "skip-execution" in cell.metadata.get("tags", [])
    return cell.cell_type == "code" and bool(cell.source.strip()) and not skipped


def _escaped(path: Path) -> str:
    """papermill reads braces in a path as places for parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _error_line(name: str, message: object) -> str:
    return ": ".join(filter(None, (name, _first_line(message))))


def _first_statement(source: object) -> str:
    """A cell's first line that is no comment."""
    lines = [line for line in str(source).splitlines() if not line.lstrip().startswith("#")]
    return _first_line("\n".join(lines)) or _first_line(source)


def _first_line(message: object) -> str:
    return next(iter(str(message).strip().splitlines()), "")
