"""Four control steps on Newton with every delay; prints joint and root states. Argument: solver | isaaclab."""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from isaaclab.envs import ManagerBasedRLEnv

from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos
from bm_training.tracking.actions import joint_action
from bm_training.tracking.command import motion_command
from bm_training.tracking.env_cfg import Backend, TaskConfig, tracking_env_cfg
from bm_training.tracking.motion_set import LoadedMotionSet, Role

NUM_ENVS = 5


def main() -> None:
    root_pos = np.tile([0.0, 0.0, 0.76], (30, 1))
    joint_pos = np.tile(G1.default_joint_pos, (30, 1))
    clip = clip_from_qpos("still", root_pos, np.tile([1.0, 0.0, 0.0, 0.0], (30, 1)), joint_pos, 50.0)
    motions = LoadedMotionSet(name="still", clips=(clip,), weights=(1.0,), roles=(Role.OTHER,))
    task = TaskConfig(
        load_motions=motions.on_device,
        num_envs=NUM_ENVS,
        backend=Backend.NEWTON,
        device="cpu",
        play=True,
        solver_owns_loop=sys.argv[1] == "solver",
    )
    cfg = tracking_env_cfg(task)
    cfg.actions.joint_pos.max_delay_steps = 4
    env = ManagerBasedRLEnv(cfg)
    env.reset()
    joint_action(env)._delay[:, 0] = torch.arange(NUM_ENVS)
    torch.manual_seed(0)
    for _ in range(4):
        env.step(0.3 * torch.randn(1, 29).expand(NUM_ENVS, -1))
    robot = motion_command(env).robot
    state = {
        "joint_pos": robot.joint_pos.tolist(),
        "height": robot.body_pos[:, 0, 2].tolist(),
        "handles_decimation": env._physics_handles_decimation,
    }
    print("PROBE " + json.dumps(state), flush=True)
    env.close()


if __name__ == "__main__":
    main()
