"""Runs in .venv-peers: mjlab's own tracking task and exporter; writes the policy and what its environment saw and did.

    .venv-peers/bin/python tests/peers/record_mjlab.py FOLDER TASK

FOLDER/policy/policy.onnx is mjlab's export with its metadata, FOLDER/ticks.npz holds 100 control steps.
"""

import sys
from dataclasses import asdict
from pathlib import Path

import mjlab.tasks  # noqa: F401  registers the tasks
import numpy as np
import torch
from mjlab.envs import ManagerBasedRlEnv
from mjlab.rl import RslRlVecEnvWrapper
from mjlab.tasks.registry import load_env_cfg, load_rl_cfg, load_runner_cls

from bm_core.data import shipped
from bm_core.motion import load_clip

TICKS = 100


def write_motion(path: Path, body_names: list[str], joint_names: list[str]) -> None:
    """The shipped walk as mjlab's nameless npz: arrays in the order of its own model."""
    clip = load_clip(shipped("motions", "walk.npz"))
    bodies = [clip.body_names.index(name) for name in body_names]
    joints = [clip.joint_names.index(name) for name in joint_names]
    arrays = {name: getattr(clip, name)[:, joints] for name in ("joint_pos", "joint_vel")}
    for name in ("body_pos_w", "body_quat_w", "body_lin_vel_w", "body_ang_vel_w"):
        arrays[name] = getattr(clip, name)[:, bodies]
    np.savez(path, fps=[50], **{name: rows.astype(np.float32) for name, rows in arrays.items()})


def names_in_mjlab() -> tuple[list[str], list[str]]:
    from mjlab.asset_zoo.robots import get_g1_robot_cfg
    from mjlab.entity import Entity

    robot = Entity(get_g1_robot_cfg())
    return list(robot.body_names), list(robot.joint_names)


def environment(task: str, motion: Path) -> RslRlVecEnvWrapper:
    cfg = load_env_cfg(task)
    cfg.scene.num_envs = 1
    cfg.seed = 7
    cfg.commands["motion"].motion_file = str(motion)
    cfg.observations["actor"].enable_corruption = False
    # An unknown offset of the encoders is not part of any contract; pushes and the rest stay.
    cfg.events.pop("encoder_bias")
    return RslRlVecEnvWrapper(ManagerBasedRlEnv(cfg=cfg, device="cpu"))


def main(folder: Path, task: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    write_motion(folder / "motion.npz", *names_in_mjlab())
    env = environment(task, folder / "motion.npz")
    settings = asdict(load_rl_cfg(task))
    settings["logger"] = "tensorboard"
    settings["upload_model"] = False
    runner = load_runner_cls(task)(env, settings, str(folder / "log"), "cpu")
    actor = runner.alg.get_policy()
    observations = env.get_observations()
    actor.train()
    for _ in range(20):  # a normaliser that has seen something
        actor.update_normalization(observations)
        observations = env.step(torch.randn(1, 29) * 0.3)[0]
    actor.eval()
    (folder / "policy").mkdir(exist_ok=True)
    runner.save(str(folder / "policy" / "model_0.pt"))
    rows: dict[str, list] = {key: [] for key in ("qpos", "qvel", "frame", "last_action", "observation", "action")}
    base = env.unwrapped
    with torch.inference_mode():
        for _ in range(TICKS):
            action = actor(observations)
            data = base.scene["robot"].data
            rows["qpos"].append(torch.cat([data.root_link_pose_w, data.joint_pos], dim=1)[0].numpy().copy())
            rows["qvel"].append(torch.cat([data.root_link_vel_w, data.joint_vel], dim=1)[0].numpy().copy())
            rows["frame"].append(int(base.command_manager.get_term("motion").time_steps[0]))
            rows["last_action"].append(base.action_manager.action[0].numpy().copy())
            rows["observation"].append(observations["actor"][0].numpy().copy())
            rows["action"].append(action[0].numpy().copy())
            # The policy is untrained; noise keeps the robot busy between its resets.
            observations = env.step(action + 0.3 * torch.randn_like(action))[0]
    np.savez(folder / "ticks.npz", **{key: np.array(value) for key, value in rows.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
