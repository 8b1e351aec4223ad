"""Plays fixed actions in the tracking task and saves what came out; test_masked_step.py compares the two steps.

A process can hold one simulation. Usage: masked_step_probe.py newton|ovphysx masked|indexed FILE
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from isaaclab.envs import ManagerBasedRLEnv

from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos
from bm_training.sampling import AdaptiveSamplerConfig, SamplingMode, StartStateConfig
from bm_training.tracking.command import motion_command
from bm_training.tracking.env_cfg import Backend, TaskConfig, tracking_env_cfg
from bm_training.tracking.motion_set import LoadedMotionSet, Role
from bm_training.tracking.tracking_env import TrackingEnv

NUM_ENVS, STEPS = 4, 60


def main() -> None:
    backend, kind, file = sys.argv[1:]
    frames = 40
    pose = np.tile(G1.default_joint_pos, (frames, 1))
    root_pos, root_quat = np.tile([0.0, 0.0, 0.76], (frames, 1)), np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1))
    clip = clip_from_qpos("stand", root_pos, root_quat, pose, 50.0)
    motions = LoadedMotionSet(name="stand", clips=(clip,), weights=(1.0,), roles=(Role.OTHER,))
    task = TaskConfig(
        load_motions=motions.on_device,
        num_envs=NUM_ENVS,
        backend=Backend(backend),
        device="cpu",
        reference_window=(4,),
        play=True,
        sampler=AdaptiveSamplerConfig(mode=SamplingMode.START),
        start_state=StartStateConfig(probability=0.0),
    )
    env = (TrackingEnv if kind == "masked" else ManagerBasedRLEnv)(tracking_env_cfg(task))
    env.reset()
    # Of their own: both steps draw reset noise, each in its own amount, from the global state.
    generator = torch.Generator().manual_seed(1)
    # From standing still to wild: environments fail at different steps, one lives to the clip's end.
    scale = torch.tensor([0.0, 0.5, 2.0, 4.0])[:, None]
    seen: dict[str, list] = {"policy": [], "critic": [], "reward": [], "terminated": [], "truncated": [], "entries": []}
    for _ in range(STEPS):
        actions = scale * torch.randn(NUM_ENVS, 29, generator=generator)
        observations, reward, terminated, truncated, _ = env.step(actions)
        values = (observations["policy"], observations["critic"], reward, terminated, truncated)
        for name, value in zip(seen, values, strict=False):
            seen[name].append(value.clone().numpy())
    motion_command(env).sampler.end_iteration()
    seen["entries"] = [motion_command(env).sampler.entries.numpy(), motion_command(env).sampler.failures.numpy()]
    np.savez(file, **{name: np.stack(values) for name, values in seen.items()})
    env.close()


if __name__ == "__main__":
    main()
