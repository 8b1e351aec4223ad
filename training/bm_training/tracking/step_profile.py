"""Where the time of a control step goes: launches, synchronisations, and its parts."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv

_LAUNCHES = (
    "cudaLaunchKernel",
    "cudaLaunchKernelExC",
    "cuLaunchKernel",
    "cuLaunchKernelEx",
    "cudaGraphLaunch",
    "cuGraphLaunch",
)
_WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cuStreamSynchronize")


def profile_steps(env: ManagerBasedRLEnv, actions: Callable[[], Tensor], steps: int = 30) -> dict[str, Any]:
    """Counts a step of CUDA calls (0 on a CPU) and milliseconds a step of each part, each part waited for."""
    with torch.inference_mode():
        parts = _parts(env, actions, steps)
        counts = _calls(env, actions, steps)
    return {"ms_of_parts": parts, "calls_per_step": counts}


def _calls(env: ManagerBasedRLEnv, actions: Callable[[], Tensor], steps: int) -> dict[str, float]:
    from torch.profiler import ProfilerActivity, profile

    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])
    with profile(activities=kinds) as profiler:
        for _ in range(steps):
            env.step(actions())
    averages = profiler.key_averages()
    calls = {event.key: event.count / steps for event in averages}
    counts = {"launches": sum(calls.get(name, 0.0) for name in _LAUNCHES)}
    counts |= {
        name: calls[name] for name in (*_WAITS, "cudaMemcpyAsync", "aten::nonzero", "aten::item") if name in calls
    }
    top = sorted(averages, key=lambda event: -event.self_cpu_time_total)[:15]
    counts |= {f"cpu_ms {event.key[:48]}": event.self_cpu_time_total / 1e3 / steps for event in top}
    return {name: round(value, 3) for name, value in counts.items()}


def _parts(env: ManagerBasedRLEnv, actions: Callable[[], Tensor], steps: int) -> dict[str, float]:
    spent: dict[str, float] = {}
    watched = [
        (env.action_manager, "process_action"),
        (env.action_manager, "apply_action"),
        (env.scene, "write_data_to_sim"),
        (env.sim, "step"),
        (env.scene, "update"),
        (env.termination_manager, "compute"),
        (env.reward_manager, "compute"),
        (env, "_reset_idx"),
        (env.command_manager, "compute"),
        (env.event_manager, "apply"),
        (env.observation_manager, "compute"),
    ]
    with _timed(watched, spent):
        started = _wait()
        for _ in range(steps):
            env.step(actions())
        spent["whole step"] = _wait() - started
    return {name: round(1e3 * seconds / steps, 4) for name, seconds in spent.items()}


@contextmanager
def _timed(watched: list[tuple[Any, str]], spent: dict[str, float]):
    """Replace each method by one that adds its time to `spent`."""
    for owner, name in watched:
        label = f"{type(owner).__name__}.{name}"
        spent[label] = 0.0
        setattr(owner, name, _timing(getattr(owner, name), label, spent))
    try:
        yield
    finally:
        for owner, name in watched:
            delattr(owner, name)


def _timing(method: Callable[..., Any], label: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        started = _wait()
        try:
            return method(*args, **kwargs)
        finally:
            spent[label] += _wait() - started

    return timed


def _wait() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
