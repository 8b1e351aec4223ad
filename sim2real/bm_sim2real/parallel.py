"""Tasks on several processes: the dearest first, results in task order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import connection, get_context, parent_process
from typing import Any, TypeVar

from bm_sim2real.process_signals import children_ignore_sigint

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
    context = get_context("spawn")  # fork would copy the locks and threads of onnxruntime
    with ProcessPoolExecutor(
        min(jobs, len(tasks)), context, initializer=_begin, initargs=(initializer, initargs)
    ) as pool:
        try:
            with children_ignore_sigint():
                futures = {pool.submit(work, tasks[i]): i for i in order}
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                seen(results[futures[future]])
        except BaseException:
            end_pool(pool)
            raise
    return [results[i] for i in range(len(tasks))]


def end_pool(pool: ProcessPoolExecutor) -> None:
    """At once: what its processes still do is not wanted any more, and Ctrl-C must not wait for it."""
    workers = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()


def end_with_parent() -> None:
    """In a process of a pool: end as soon as the one that started it is gone, however that came about."""
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_wait_and_end, args=(parent.sentinel,), name="parent", daemon=True).start()


def _wait_and_end(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _begin(initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    end_with_parent()
    if initializer is not None:
        initializer(*initargs)
