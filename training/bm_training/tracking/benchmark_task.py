"""Measures our task in a process of its own; started by benchmark.py with its options as one JSON argument."""

from __future__ import annotations

import json
import resource
import sys
import time
from contextlib import redirect_stdout
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from bm_sim2real.process_signals import temporary_folder
from bm_training.run_control import report
from bm_training.tracking.benchmark import RESULT

if TYPE_CHECKING:
    from bm_training.tracking.env_cfg import TaskConfig
    from bm_training.tracking.tracking_env import TrackingEnv

ACTION_STD = 0.4
"""Of the random actions of the rates without learning: what training begins with."""
_EPISODE = 24
"""Control steps after which the empty MDP starts anew, so that its robots do not lie about for good."""


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Training, then the environment alone, then physics alone, all in one simulation."""
    from bm_training.tracking.env_cfg import tracking_env_cfg
    from bm_training.tracking.simulation import simulation
    from bm_training.tracking.tracking_env import TrackingEnv

    task = _task(options)
    env_cfg = tracking_env_cfg(task)
    with simulation(env_cfg):
        env = TrackingEnv(env_cfg)
        try:
            result = {"side": "ours", "num_envs": task.num_envs, **_training(env, task.device, options)}
            result["env_steps_per_s"] = _env_rate(env, options["env_steps"])
            result["physics_steps_per_s"] = _physics_rate(env, options["env_steps"])
            result["memory_mib"] = _memory_mib(task.device)
            if options["profile"]:
                from bm_training.tracking.step_profile import profile_steps

                result["profile"] = profile_steps(env, lambda: _actions(env))
            return result
        finally:
            env.close()


def _task(options: dict[str, Any]) -> TaskConfig:
    from bm_training.tracking.env_cfg import Backend, TaskConfig
    from bm_training.tracking.motion_set import motion_set_of_paths, repeated

    device = options["device"]
    motions = repeated(motion_set_of_paths([options["motion"]]), options["library_minutes"])
    return TaskConfig(
        load_motions=motions.on_device,
        num_envs=options["num_envs"],
        backend=Backend(options.get("backend", "newton")),
        device=device,
        state_estimation=True,
        solver_owns_loop=options["solver_loop"],
        njmax=options["njmax"],
        nconmax=options["nconmax"],
    )


def _training(env: TrackingEnv, device: str, options: dict[str, Any]) -> dict[str, float]:
    """Rate over whole iterations, logging included; checkpoints are written before and after."""
    from bm_training.tracking.distributed import Ranks
    from bm_training.tracking.ppo_cfg import PpoConfig
    from bm_training.tracking.runner import Runner
    from bm_training.tracking.runner_config import RunnerConfig

    warm_up, count = options["warm_up"], options["iterations"]
    ppo = PpoConfig(hidden_dims=tuple(options["hidden_dims"]), init_std=1.0)
    stamps: list[float] = []
    with temporary_folder() as folder:
        config = RunnerConfig(run_dir=folder, max_iterations=warm_up + count, save_interval=10**9)
        ranks = Ranks(rank=0, local_rank=0, world_size=1, device=device)
        runner = Runner(env, ppo, config, ranks, lambda line: (stamps.append(time.monotonic()), report(line))[0], {})
        runner.learn()
        rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()][warm_up:]
    return {
        "training_steps_per_s": count * ppo.num_steps_per_env * env.num_envs / (stamps[-1] - stamps[warm_up - 1]),
        "collect_s": median(row["time/collect_s"] for row in rows),
        "learn_s": median(row["time/learn_s"] for row in rows),
    }


@torch.inference_mode()
def _env_rate(env: TrackingEnv, steps: int) -> float:
    env.reset()
    for _ in range(_EPISODE):
        env.step(_actions(env))
    started = _clock(env)
    for _ in range(steps):
        env.step(_actions(env))
    return steps * env.num_envs / (_clock(env) - started)


@torch.inference_mode()
def _physics_rate(env: TrackingEnv, steps: int) -> float:
    """An MDP without terms: Isaac Lab's own loop over the physics steps and nothing after it."""
    spent = 0.0
    for _ in range(steps // _EPISODE):
        env.reset()
        _simulate(env, 1)
        started = _clock(env)
        _simulate(env, _EPISODE)
        spent += _clock(env) - started
    return (steps // _EPISODE) * _EPISODE * env.num_envs / spent


def _memory_mib(device: str) -> float:
    """In use on the GPU, whoever allocated it; on the CPU what this process ever held."""
    if device.startswith("cuda"):
        free, total = torch.cuda.mem_get_info()
        return (total - free) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _simulate(env: TrackingEnv, count: int) -> None:
    for _ in range(count):
        env.action_manager.process_action(_actions(env))
        env.simulate()


def _actions(env: TrackingEnv) -> torch.Tensor:
    return ACTION_STD * torch.randn(env.num_envs, env.action_manager.total_action_dim, device=env.device)


def _clock(env: TrackingEnv) -> float:
    if str(env.device).startswith("cuda"):
        torch.cuda.synchronize()
    return time.monotonic()


def main() -> None:
    """One RESULT line on stdout; what Isaac Lab says goes to stderr."""
    with redirect_stdout(sys.stderr):
        result = measure(json.loads(sys.argv[1]))
    sys.stdout.write(RESULT + json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
