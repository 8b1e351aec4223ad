"""Tasks that each need a policy, on several processes: one policy and one core per process, results in task order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from bm_sim2real.parallel import run_parallel
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
    tracker = TrackerPolicy.load(policy, provider)  # here as well: in a worker its error would read "broken pool"
    if jobs <= 1 or len(tasks) <= 1:
        return run_parallel(partial(work, tracker), tasks, jobs=1, on_result=on_result)
    return run_parallel(
        partial(_work, work),
        tasks,
        jobs=jobs,
        cost=cost,
        on_result=on_result,
        initializer=_start_worker,
        initargs=(str(policy), provider),
    )


_policy: TrackerPolicy | None = None
"""Of a worker process, set once by its initializer."""


def _start_worker(policy: str, provider: str) -> None:
    global _policy
    _policy = TrackerPolicy.load(policy, provider)


def _work(work: Callable[[TrackerPolicy, Task], Result], task: Task) -> Result:
    assert _policy is not None
    return work(_policy, task)
