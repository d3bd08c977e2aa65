"""Run notebooks as planned, several at once, and leave a record beside each result.

papermill writes the parameters into a notebook and nbclient runs it. This front is stricter than
papermill's own, which only warns about unknown parameters, accepts any value, and records a cell
that timed out or a kernel that died as "completed".
"""

import ast
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from tqdm.auto import tqdm

from depthclip_core.cores import usable_cores
from depthclip_core.errors import DepthClipError
from depthclip_core.files import CannotWrite, claimed, user_path, write_whole
from depthclip_core.text import printable
from depthclip_core.workbook import kernels
from depthclip_core.workbook.failures import error_inside, failing_line, reason
from depthclip_core.workbook.plans import Plan, prepared
from depthclip_core.workbook.records import notebook_text, record_path, save_run, shown_path
from depthclip_core.workbook.static import without_widgets

LONGEST = 10**6  # seconds that a cell may take: eleven days; waiting takes no number beyond 2**31

SILENT = logging.Logger("notebooks")  # what matters is reported as the outcome of a run
SILENT.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class NotebookRun:
    """One run of a notebook and how it ended.

    output: the executed notebook; record: the JSON file beside it. outcome: "ok", "failed" or
    "interrupted". cell: the number of the cell that failed, as its In [ ] shows it; source: the
    line of it that failed; error: the first line of the error; None if nothing failed.
    """

    plan: Plan
    outcome: str
    seconds: float
    cell: int | None
    source: str | None
    error: str | None

    output = property(lambda self: self.plan.output)
    record = property(lambda self: record_path(self.output))

    def __str__(self) -> str:
        if self.outcome == "ok":
            return f"ok      {self.output.stem}, {self.seconds:.1f} s"
        where = f"cell {self.cell} (`{self.source}`): " if self.cell else ""
        return f"{self.outcome.upper()}: {self.output.stem}: {where}{self.error or ''}"


@dataclass
class Progress:
    """How far a run has come; the thread that shows the progress reads it."""

    plan: Plan
    total: int  # cells
    number: int = 0
    cell: NotebookNode | None = None
    client: NotebookClient | None = None  # while its kernel runs


def run(
    plans: Sequence[Plan],
    workers: int | None = None,
    *,
    timeout: float | None = None,
    figures: str | Path | None = None,
    progress: bool = False,
    about: Mapping[str, object] | None = None,
    facts: Mapping[str, str] | None = None,
    stop: threading.Event | None = None,
) -> list[NotebookRun]:
    """Run notebooks as planned, several at once; `DepthClipError` if nothing can start.

    A run that fails raises nothing: look at its outcome. Kernels start in the current folder, as
    papermill's do. While a run goes on, no other process can write its results. If this one is
    interrupted, kernels and whatever they have started end before the exception goes on.

    workers: how many run at once; by default half the cores. timeout: seconds that a cell may take.
    figures: the folder for all figures; by default `figures`/RUN beside the results;
    a run with parameters in its name gets a folder in it. progress: show
    a bar, what begins, and a line for each finished run; where it is the only one, not for one that
    failed, which the caller reports. about: goes into every record as it is. facts: Python
    expressions; once a kernel can evaluate one without an error, the record keeps its value.
    stop: set by another thread, it interrupts the runs, and `CancelledError` is raised.
    """
    workers = max(1, usable_cores() // 2) if workers is None else workers
    if workers < 1:
        raise DepthClipError(f"workers must be at least 1, got {workers}")
    if timeout is not None and not 0 < timeout <= LONGEST:
        limits = f"more than 0 and at most {LONGEST:,} seconds"
        raise DepthClipError(f"the timeout of a cell is {limits}, got {timeout:g}")
    for plan in plans:
        with claimed(plan.output):  # what cannot be written is said before anything starts
            pass
    workers = min(workers, len(plans))
    environment = dict(os.environ)
    if workers > 1:  # otherwise every kernel would use every core
        environment.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // workers)))
    watched = [Progress(plan, len(_code_cells(plan.content)) + bool(plan.given)) for plan in plans]
    asked, stop = stop or threading.Event(), threading.Event()

    def start(watch: Progress) -> NotebookRun:
        folder = _figures_folder(watch.plan, figures)
        variables = {**environment, "DEPTHCLIP_FIGURES": str(folder.absolute())}
        try:
            with claimed(watch.plan.output):
                ended = _run_one(watch, stop, timeout, variables, about or {}, facts or {})
        except CannotWrite as error:
            ended = NotebookRun(watch.plan, "failed", 0.0, None, None, printable(error))
        watch.number = watch.total
        return ended

    bar = tqdm(
        total=sum(watch.total for watch in watched),
        disable=None if progress else True,  # None: shown in a terminal only
        bar_format="{desc} {bar} {n_fmt}/{total_fmt} cells, {elapsed}{postfix}",
    )
    with bar, ThreadPoolExecutor(workers) as pool:
        if progress and plans:
            many = f"s, {workers} at a time," if len(plans) > 1 else ""
            bar.write(f"running {len(plans)} notebook{many} into {_folders(plans)}")
        futures = [pool.submit(start, watch) for watch in watched]
        waiting, n_ended = set(futures), 0
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                if asked.is_set():
                    raise CancelledError
                for future in done if progress else ():
                    n_ended += 1
                    ended = future.result()
                    if len(plans) > 1 or ended.outcome == "ok":
                        bar.write(f"{n_ended} of {len(plans)}: {ended}")
                running = [
                    f"{printable(w.plan.output.stem)} [{w.number}]" for w in watched if w.client
                ]
                bar.set_description_str(f"{len(plans) - len(waiting)}/{len(plans)} runs", False)
                bar.set_postfix_str("; ".join(running), False)
                bar.n = sum(watch.number for watch in watched)
                bar.refresh()
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            while wait(futures, timeout=0.2).not_done:
                for watch in watched:
                    kernels.kill(kernels.process_of(watch.client))
            raise
    return [future.result() for future in futures]


def _run_one(
    watch: Progress,
    stop: threading.Event,
    timeout: float | None,
    environment: Mapping[str, str],
    about: Mapping[str, object],
    facts: Mapping[str, str],
) -> NotebookRun:
    """Run one notebook; save it as it goes, under its own name once it has ended in any way."""
    plan = watch.plan
    part = plan.output.with_name(f".{plan.output.name}.part")
    started, clock = datetime.now().astimezone(), time.perf_counter()
    notebook, known, kernel = prepared(plan, started), {}, None

    def begin(cell: NotebookNode, cell_index: int) -> None:
        nonlocal kernel
        kernel = kernels.process_of(client)
        if stop.is_set():
            raise CancelledError
        watch.number, watch.cell = watch.number + 1, cell
        cell.metadata.papermill["status"] = "running"

    async def finish(cell: NotebookNode, cell_index: int, execute_reply: Mapping) -> None:
        ok = execute_reply["content"]["status"] == "ok"
        cell.metadata.papermill["status"] = "completed" if ok else "failed"
        write_whole(part, notebook_text(notebook))
        unknown = {name: facts[name] for name in facts if name not in known}
        if ok and unknown:
            known.update(await _evaluated(client, unknown))

    client = watch.client = NotebookClient(
        notebook,
        kernel_name=plan.kernel,
        timeout_func=lambda _: timeout,  # `timeout` itself takes whole seconds only
        extra_arguments=["--IPKernelApp.log_level=50"],
        on_cell_execute=begin,
        on_cell_executed=finish,
        log=SILENT,
    )
    at = error = None
    try:
        client.execute(env=environment)
    except Exception as failure:
        at = watch.cell
        if at and isinstance(failure, CannotWrite):
            at.outputs.clear()  # what did not fit
        error = "interrupted" if stop.is_set() else reason(failure, timeout)
        for shown in ([at] if at else _code_cells(notebook))[:1]:
            shown.metadata.papermill["status"] = "failed"
            if not any(output.output_type == "error" for output in shown.outputs):
                about_it = {"ename": type(failure).__name__, "evalue": error, "traceback": [error]}
                shown.outputs.append(nbformat.v4.new_output("error", **about_it))
    else:
        if found := error_inside(notebook):
            at, error = found
            error = error if at else f"in a widget: {error}"
    if not error:  # one in a widget is known from the widget's state alone
        without_widgets(notebook)
    watch.client = None
    kernels.kill_group(kernel)
    seconds = round(time.perf_counter() - clock, 3)
    notebook.metadata.papermill |= {
        "end_time": datetime.now().astimezone().isoformat(),
        "duration": seconds,
        "exception": bool(error),
    }
    outcome = "ok" if not error else "interrupted" if stop.is_set() else "failed"
    failed = {"cell": None, "source": None, "error": error}
    if at:
        failed |= {"cell": at.execution_count or watch.number, "source": failing_line(at)}
    how = {"seconds": seconds, "outcome": outcome, "failed": failed if error else None}
    known = {name: known.get(name) for name in facts}
    _save(part, plan, notebook, started, how | known | dict(about))
    return NotebookRun(plan, outcome, seconds, **failed)


def _save(part: Path, *what: object) -> None:
    """Save a run, and remove its temporary copy, first if a full disk needs its space."""
    try:
        save_run(*what)
    except CannotWrite:
        part.unlink(missing_ok=True)
        save_run(*what)
    part.unlink(missing_ok=True)


def _folders(plans: Sequence[Plan]) -> str:
    """The folders of the results."""
    return " and ".join(dict.fromkeys(f"{shown_path(plan.output.parent)}/" for plan in plans))


def _figures_folder(plan: Plan, figures: str | Path | None) -> Path:
    """Where the figures of a run go: no other run's are there."""
    if figures is None:
        return plan.output.parent / "figures" / plan.output.stem
    folder = user_path(figures)
    return folder if plan.output.stem == plan.notebook.stem else folder / plan.output.stem


async def _evaluated(client: NotebookClient, expressions: Mapping[str, str]) -> dict[str, object]:
    """The values of those expressions that a kernel can evaluate to literals now."""
    request = client.kc.execute("", silent=True, user_expressions=dict(expressions))
    reply = await client.async_wait_for_reply(request)
    values = {}
    for name, value in reply["content"].get("user_expressions", {}).items():
        with suppress(KeyError, ValueError, SyntaxError):
            values[name] = ast.literal_eval(value["data"]["text/plain"])
    return values


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that nbclient runs."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    return [cell for cell in cells if "skip-execution" not in cell.metadata.get("tags", [])]
