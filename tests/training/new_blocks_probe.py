"""Warm starts of a run on Newton, with and without new blocks; saves what each left; test_new_blocks.py judges.

Usage: new_blocks_probe.py FILE
"""

from __future__ import annotations

import copy
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from bm_core.data import shipped
from bm_core.motion import load_clip
from bm_training.tracking.command import motion_command
from bm_training.tracking.distributed import join
from bm_training.tracking.env_cfg import Backend, TaskConfig, tracking_env_cfg
from bm_training.tracking.motion_set import LoadedMotionSet, Role
from bm_training.tracking.ppo_cfg import PpoConfig
from bm_training.tracking.runner import Runner
from bm_training.tracking.runner_config import RunnerConfig
from bm_training.tracking.tracking_env import TrackingEnv

NEW = ("motion_anchor_pos_b", "base_lin_vel")
"""Blocks of the policy that the other run did not have."""


def main() -> None:
    clip = load_clip(shipped("motions", "walk_loop.npz"))
    motions = LoadedMotionSet(name="walk", clips=(clip,), weights=(1.0,), roles=(Role.OTHER,))
    task = TaskConfig(
        load_motions=motions.on_device, num_envs=6, backend=Backend.NEWTON, device="cpu", state_estimation=True
    )
    env = TrackingEnv(tracking_env_cfg(task))
    config = RunnerConfig(run_dir=Path(tempfile.mkdtemp()), max_iterations=1)
    runner = Runner(env, PpoConfig(hidden_dims=(16, 16)), config, join("cpu"), lambda line: None, {})
    for model in (runner.alg.actor, runner.alg.critic):
        model.obs_normalizer._mean.uniform_(-0.1, 0.1)
        model.obs_normalizer.count.fill_(200_000_000)
    own = copy.deepcopy(runner._state())
    outcomes = {"before": seen(runner), "blocks": runner.layouts["policy"]}
    outcomes["plain_added"] = runner.warm_start(own)
    outcomes["plain"] = seen(runner)
    outcomes["other_added"] = runner.warm_start(without(own, NEW))
    outcomes["other"] = seen(runner)
    torch.save(outcomes, sys.argv[1])
    env.close()


def without(state: dict[str, Any], blocks: tuple[str, ...]) -> dict[str, Any]:
    """The checkpoint of a run whose policy does not see `blocks`."""
    state = copy.deepcopy(state)
    kept, position = [], 0
    for name, size in state["layouts"]["policy"]:
        kept += [] if name in blocks else range(position, position + size)
        position += size
    actor = state["alg"]["actor_state_dict"]
    for name in ("mlp.0.weight", "obs_normalizer._mean", "obs_normalizer._var", "obs_normalizer._std"):
        actor[name] = actor[name][:, kept]
    state["layouts"]["policy"] = [block for block in state["layouts"]["policy"] if block[0] not in blocks]
    return state


def seen(runner: Runner) -> dict[str, Any]:
    """Everything that the coming iterations depend on, and what they log."""
    motion = motion_command(runner.env.env)
    return copy.deepcopy(
        {
            "environment": runner._environment(),
            "sampler": motion.sampler.state_dict(),
            "errors": motion.error_log._sums,
            "actor": runner.alg.actor.state_dict(),
            "critic": runner.alg.critic.state_dict(),
        }
    )


if __name__ == "__main__":
    main()
