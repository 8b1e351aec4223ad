"""Tasks on several processes: the dearest first, results in task order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any, TypeVar

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
    this process, without `initializer`. Raises what `work` raises.
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
    with ProcessPoolExecutor(min(jobs, len(tasks)), context, initializer=initializer, initargs=initargs) as pool:
        futures = {pool.submit(work, tasks[i]): i for i in order}
        try:
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                seen(results[futures[future]])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [results[i] for i in range(len(tasks))]
