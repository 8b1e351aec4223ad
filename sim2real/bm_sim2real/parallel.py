"""Tasks on several processes: the dearest first, results in task order."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from bm_sim2real.process_signals import TERMINATED, Terminated, children_ignore_sigint

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_parallel(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    jobs: int,
    cost: Callable[[Task], float] = lambda task: 1.0,
    on_result: Callable[[Result], None] | None = None,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
) -> list[Result]:
    """`work(task)` for every task; `work` and tasks must be picklable. `on_result` sees each as it comes.

    `cost`: the dearest tasks start first, or the last one would run alone at the end. With one job everything runs in
    this process, without `initializer`. Raises what `work` raises; the processes are then ended at once.
    """
    seen = on_result or (lambda result: None)
    results: dict[int, Result] = {}
    if jobs <= 1 or len(tasks) <= 1:
        for i, task in enumerate(tasks):
            results[i] = work(task)
            seen(results[i])
        return [results[i] for i in range(len(tasks))]
    order = sorted(range(len(tasks)), key=lambda i: -cost(tasks[i]))
    clean = CleanEnd(work)
    context = get_context("spawn")  # fork would copy the locks and threads of onnxruntime
    with ProcessPoolExecutor(
        min(jobs, len(tasks)), context, initializer=_begin, initargs=(initializer, initargs)
    ) as pool:
        try:
            # Not as_completed: Ctrl-C would leave it with locks of futures that the pool's thread then waits for.
            finished: SimpleQueue[Future[Result]] = SimpleQueue()
            with children_ignore_sigint(by_multiprocessing=True):
                futures = {pool.submit(clean, tasks[i]): i for i in order}
                for future in futures:
                    future.add_done_callback(finished.put)
            for _ in tasks:
                future = finished.get()
                results[futures[future]] = future.result()
                seen(results[futures[future]])
        except BaseException:
            end_pool(pool)
            raise
    return [results[i] for i in range(len(tasks))]


def end_pool(pool: ProcessPoolExecutor) -> None:
    """At once: what its processes still do is not wanted any more, and Ctrl-C must not wait for it."""
    for worker in list((pool._processes or {}).values()):
        worker.terminate()
    # Waited for, or the pool's thread would still be ending while Python does, which prints a traceback.
    pool.shutdown(wait=True, cancel_futures=True)


# -- in a process of a pool

_is_working = False
_is_ending = False


def begin_worker() -> None:
    """SIGTERM ends this process after it has cleaned up behind its task; so does the death of the one above it."""
    parent = parent_process()
    assert parent is not None
    signal.signal(signal.SIGTERM, _end_worker)
    threading.Thread(target=_outlive_nobody, args=(parent.sentinel,), name="parent", daemon=True).start()


@dataclass(frozen=True)
class CleanEnd(Generic[Task, Result]):
    """`work` with the temporary files and shared memory of a task gone before the process is."""

    work: Callable[[Task], Result]

    def __call__(self, task: Task) -> Result:
        global _is_working
        _is_working = True
        try:
            return self.work(task)
        finally:
            # Not `except Terminated`: compiled code that is interrupted may have made another error of it.
            if _is_ending:
                os._exit(TERMINATED)
            _is_working = False


def _end_worker(*_: object) -> None:
    global _is_ending
    if _is_ending:  # the pool says it once more; cleaning up must not be interrupted
        return
    _is_ending = True
    if not _is_working:
        os._exit(TERMINATED)
    raise Terminated


def _outlive_nobody(parent: int) -> None:
    connection.wait([parent])
    os.kill(os.getpid(), signal.SIGTERM)


def _begin(initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    begin_worker()
    if initializer is not None:
        initializer(*initargs)
