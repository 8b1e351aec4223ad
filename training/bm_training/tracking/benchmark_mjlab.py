"""Measures mjlab's own G1 tracking task; run by benchmark.py with an interpreter that has mjlab 1.6.0.

Imports nothing of this project: mjlab pins other versions of MuJoCo and rsl-rl. Its runner, its environment, its task;
only the numbers that both sides share are set.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Any

import torch

TASK = "Mjlab-Tracking-Flat-Unitree-G1"
ACTION_STD = 0.4
"""As in benchmark_task.py."""
_WARM_UP_STEPS = 24


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Training, then the environment alone, in one simulation."""
    import mjlab.tasks  # noqa: F401  (registers the tasks)
    from mjlab.envs import ManagerBasedRlEnv
    from mjlab.rl import MjlabOnPolicyRunner, RslRlVecEnvWrapper
    from mjlab.tasks.registry import load_env_cfg, load_rl_cfg
    from mjlab.utils.torch import configure_torch_backends

    configure_torch_backends()
    cfg, agent = load_env_cfg(TASK), load_rl_cfg(TASK)
    cfg.scene.num_envs = options["num_envs"]
    cfg.commands["motion"].motion_file = options["motion"]
    cfg.sim.njmax, cfg.sim.nconmax = options["njmax"], options["nconmax"]
    agent.actor.hidden_dims = agent.critic.hidden_dims = tuple(options["hidden_dims"])
    env = RslRlVecEnvWrapper(ManagerBasedRlEnv(cfg=cfg, device=options["device"]), clip_actions=agent.clip_actions)
    runner = MjlabOnPolicyRunner(env, asdict(agent), None, options["device"])
    runner.learn(options["warm_up"], init_at_random_ep_len=True)
    started = _clock(options["device"])
    runner.learn(options["iterations"])
    spent = _clock(options["device"]) - started
    samples = options["iterations"] * agent.num_steps_per_env * options["num_envs"]
    return {
        "side": "mjlab",
        "num_envs": options["num_envs"],
        "training_steps_per_s": samples / spent,
        "env_steps_per_s": _env_rate(env, options),
    }


@torch.inference_mode()
def _env_rate(env: Any, options: dict[str, Any]) -> float:
    shape = options["num_envs"], env.num_actions
    env.reset()
    for _ in range(_WARM_UP_STEPS):
        env.step(ACTION_STD * torch.randn(shape, device=options["device"]))
    started = _clock(options["device"])
    for _ in range(options["env_steps"]):
        env.step(ACTION_STD * torch.randn(shape, device=options["device"]))
    return options["env_steps"] * options["num_envs"] / (_clock(options["device"]) - started)


def _clock(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.monotonic()


def main() -> None:
    """One RESULT line on stdout; what mjlab says goes to stderr."""
    os.environ.setdefault("WANDB_MODE", "disabled")
    with redirect_stdout(sys.stderr):
        result = measure(json.loads(sys.argv[1]))
    sys.stdout.write("RESULT " + json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
