"""Tasks on a cluster: what fails is tried elsewhere, and results come as they are ready."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from distributed import Future, as_completed, get_worker
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker

from depthclip_core.errors import DepthClipError, first_line

if TYPE_CHECKING:
    from distributed import Client

ATTEMPTS = 3  # at a task that raises an error


def completed(
    client: "Client", function: Callable, arguments: Sequence[tuple]
) -> Iterator[tuple[int, object]]:
    """(i, function(*arguments[i])) of every i, in the order in which the tasks end.

    A task that fails is tried again on another worker, where there is one. A task whose worker ends
    goes to another by itself. Raises `DepthClipError` for one that keeps failing, and when the
    scheduler has gone; what has not begun is then cancelled.
    """
    places: dict[Future, int] = {}
    failed: dict[int, list[str]] = {}  # addresses of workers by task

    def submit(place: int) -> Future:
        where = {}
        if avoided := failed.get(place):
            others = [worker for worker in client.nthreads() if worker not in avoided]
            where = {"workers": others, "allow_other_workers": True} if others else {}
        future = client.submit(_attempt, function, *arguments[place], pure=False, **where)
        places[future] = place
        return future

    ready = as_completed([submit(place) for place in range(len(arguments))])
    try:
        for future in ready:
            place = places.pop(future)
            address, fault, value = _outcome(client, future)
            if fault is None:
                yield place, value
            elif len(failed.setdefault(place, [])) + 1 < ATTEMPTS:
                failed[place].append(address)
                ready.add(submit(place))
            else:
                raise DepthClipError(f"{fault} (tried {ATTEMPTS} times, last on {address})")
    finally:
        client.cancel(list(places))


def _attempt(function: Callable, *arguments: object) -> tuple[str, str | None, object]:
    """In a worker: its address, what went wrong if anything did, and the result."""
    address = get_worker().address
    try:
        return address, None, function(*arguments)
    except Exception as error:  # in words, because not every error can be sent
        named = "" if isinstance(error, DepthClipError) else f"{type(error).__name__}: "
        return address, f"{named}{error}", None


def _outcome(client: "Client", future: Future) -> tuple[str, str | None, object]:
    try:
        return future.result()
    except KilledWorker:
        raise DepthClipError(
            "every worker that began a certain task has ended: look at the workers' output, and "
            "at their memory; what is done is kept, and the same command goes on from there"
        ) from None
    except FutureCancelledError as error:
        where = client.scheduler.address if client.scheduler else "the scheduler"
        fault = f"the connection to {where} is lost ({first_line(error)})"
        raise DepthClipError(f"{fault}: what is done is kept, so run again to go on") from None
