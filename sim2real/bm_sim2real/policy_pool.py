"""Tasks that each need a policy, on several processes: one policy and one core per process, results in task order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from bm_sim2real.policies.tracker import TrackerPolicy

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_tasks(
    policy: str | Path,
    provider: str,
    work: Callable[[TrackerPolicy, Task], Result],
    tasks: Sequence[Task],
    *,
    jobs: int = 1,
    cost: Callable[[Task], float] = lambda task: 1.0,
    on_result: Callable[[Result], None] | None = None,
) -> list[Result]:
    """`work(policy, task)` for every task; `work` and tasks must be picklable. `on_result` sees each as it comes.

    `cost`: the dearest tasks start first, or the last one would run alone at the end. Raises what `work` or loading
    the policy raises.
    """
    seen = on_result or (lambda result: None)
    results: dict[int, Result] = {}
    order = sorted(range(len(tasks)), key=lambda i: -cost(tasks[i]))
    tracker = TrackerPolicy.load(policy, provider)  # here as well: in a worker its error would read "broken pool"
    if jobs <= 1 or len(tasks) <= 1:
        for i in range(len(tasks)):
            results[i] = work(tracker, tasks[i])
            seen(results[i])
        return [results[i] for i in range(len(tasks))]
    context = get_context("spawn")  # fork would copy the locks and threads of onnxruntime
    with ProcessPoolExecutor(
        min(jobs, len(tasks)), context, initializer=_start_worker, initargs=(str(policy), provider)
    ) as pool:
        futures = {pool.submit(_work, work, tasks[i]): i for i in order}
        try:
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                seen(results[futures[future]])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [results[i] for i in range(len(tasks))]


_policy: TrackerPolicy | None = None
"""Of a worker process, set once by its initializer."""


def _start_worker(policy: str, provider: str) -> None:
    global _policy
    _policy = TrackerPolicy.load(policy, provider)


def _work(work: Callable[[TrackerPolicy, Task], Result], task: Task) -> Result:
    assert _policy is not None
    return work(_policy, task)
