"""Runs the tracking task on one backend and prints what it measured as one JSON line; test_tracking_task.py judges.

A process can hold one simulation, so each backend gets its own. Usage: tracking_probe.py newton|ovphysx
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from isaaclab.envs import ManagerBasedRLEnv

from bm_core.bundle import Bundle
from bm_core.contract import Training, g1_contract
from bm_core.data import shipped
from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos
from bm_core.observation import ObservationBuilder
from bm_core.reference import MotionReference
from bm_core.state import RobotState
from bm_sim2real.policies.inference import OnnxSession
from bm_training.rotations import quat_rotate_inverse
from bm_training.tracking.actions import joint_action
from bm_training.tracking.command import motion_command
from bm_training.tracking.env_cfg import Backend, TaskConfig, tracking_env_cfg
from bm_training.tracking.motion_set import LoadedMotionSet, Role

NUM_ENVS = 4
FRAMES = 40
FALL_FRAME = 30


def swaying_clip():
    """0.8 s: knees bend, arms swing, the pelvis turns and walks through the air."""
    t = np.arange(FRAMES) / 50.0
    joint_pos = np.tile(G1.default_joint_pos, (FRAMES, 1))
    joint_pos[:, G1.joint_index["left_shoulder_pitch_joint"]] += 0.5 * np.sin(4.0 * t)
    joint_pos[:, G1.joint_index["right_knee_joint"]] += 0.3 * np.sin(5.0 * t)
    joint_pos[:, G1.joint_index["waist_yaw_joint"]] += 0.3 * np.sin(3.0 * t)
    root_pos = np.stack([0.4 * t, 0.1 * np.sin(t), 0.80 + 0.0 * t], axis=-1)
    yaw = 0.8 * t + 1.0
    root_quat = np.stack([np.cos(yaw / 2), 0 * t, 0 * t, np.sin(yaw / 2)], axis=-1)
    return clip_from_qpos("sway", root_pos, root_quat, joint_pos, 50.0)


def put_on_frame(motion, frame: int) -> None:
    """Write the reference's own frame into the simulation."""
    motion.motion_id.zero_()
    motion.frame.fill_(frame)
    motion._reference = motion._errors = None
    reference, root = motion.reference, motion.robot.root
    twist = torch.cat([reference.body_lin_vel_w[:, root], reference.body_ang_vel_w[:, root]], -1)
    joints = torch.stack([reference.joint_pos, reference.joint_vel])
    motion.robot.write(
        torch.arange(NUM_ENVS), reference.body_pos_w[:, root], reference.body_quat_w[:, root], twist, joints
    )


def replay(env, motion) -> dict:
    worst_pos = worst_vel = 0.0
    least, terminated = 1.0, False
    for frame in range(0, FRAMES - 1, 3):
        put_on_frame(motion, frame)
        worst_pos = max(worst_pos, float((motion.reference.body_pos_w - motion.robot.body_pos).abs().max()))
        # The clip's ends have one-sided differences, and central ones smooth: compare where they agree to O(dt^2).
        difference = motion.reference.body_lin_vel_w - motion.robot.body_lin_vel
        worst_vel = max(worst_vel, float(difference.abs().max()) if 3 <= frame < FRAMES - 3 else 0.0)
        env.termination_manager.compute()
        env.reward_manager.compute(1.0)
        terminated |= bool(env.termination_manager.terminated.any())
        names = env.reward_manager.active_terms
        values = dict(zip(names, env.reward_manager._step_reward[0].tolist(), strict=True))
        positive = {"anchor_pos": 0.5, "anchor_ori": 0.5, "body_pos": 1, "body_ori": 1, "body_lin_vel": 1}
        positive["body_ang_vel"] = 1
        least = min(least, *(values[name] / weight for name, weight in positive.items()))
    return {"position_m": worst_pos, "velocity": worst_vel, "least_reward": least, "terminated": terminated}


def physical_step(env) -> torch.Tensor:
    """Policy observations (E, O) in a state that physics produced."""
    env.reset()
    torch.manual_seed(1)
    for _ in range(5):
        observations = env.step(0.5 * torch.randn(NUM_ENVS, 29))[0]
    return observations["policy"]


def runtime_state(motion, env_id: int) -> RobotState:
    """What the runtime would be given for the state of one environment."""
    robot, root = motion.robot, motion.robot.root
    quat = robot.body_quat[:, root]
    lin, ang = (quat_rotate_inverse(quat, v[:, root])[env_id] for v in (robot.body_lin_vel, robot.body_ang_vel))
    return RobotState(
        seq=0,
        time=0.0,
        joint_pos=robot.joint_pos[env_id].double().numpy(),
        joint_vel=robot.joint_vel[env_id].double().numpy(),
        joint_torque=np.zeros(29),
        pelvis_quat_w=quat[env_id].double().numpy(),
        pelvis_gyro_b=ang.double().numpy(),
        pelvis_acc_b=np.zeros(3),
        pelvis_pos_w=robot.body_pos[env_id, root].double().numpy(),
        pelvis_lin_vel_b=lin.double().numpy(),
    )


def runtime_observation(contract, env, motion, clip, env_id: int) -> np.ndarray:
    """The observation as bm_core builds it on the robot."""
    action = env.action_manager.action[env_id].numpy()
    reference, frame = MotionReference(clip), int(motion.frame[env_id])
    return ObservationBuilder(contract).compute(runtime_state(motion, env_id), reference, frame, action)


def blocks(terms) -> dict[str, slice]:
    """Where each term lies in the observation vector."""
    ends = np.cumsum([term.size for term in terms])
    return {term.name: slice(int(end) - term.size, int(end)) for term, end in zip(terms, ends, strict=True)}


def observation_difference(env, motion, task, clip) -> dict[str, float]:
    """Largest difference to bm_core's builder, term by term."""
    observations = physical_step(env).numpy()
    contract = g1_contract(task.terms, Training(commit="", motion_set="", motion_set_sha256="", steps=0, run=""))
    expected = np.stack([runtime_observation(contract, env, motion, clip, e) for e in range(NUM_ENVS)])
    error = np.abs(expected - observations).max(axis=0)
    return {name: float(error[block].max()) for name, block in blocks(contract.observations).items()}


def shipped_action_difference(env, motion, task, clip) -> float:
    """Largest difference between what the shipped policy does on Isaac Lab's observation and on the runtime's."""
    observations = physical_step(env).numpy()
    path = shipped("policies", "g1_tracker.onnx")
    contract, session, where = Bundle.read(path).contract, OnnxSession(path), blocks(task.terms)
    columns = np.concatenate([np.r_[where[term.name]] for term in contract.observations])
    worst = 0.0
    for e in range(NUM_ENVS):
        ours = session(runtime_observation(contract, env, motion, clip, e))
        worst = max(worst, float(np.abs(ours - session(np.ascontiguousarray(observations[e, columns]))).max()))
    return worst


def delayed_targets(env) -> dict[str, list[float]]:
    """Target of one joint over the four physics steps of the second control step, for each delay."""
    env.reset()
    action = joint_action(env)
    action.cfg.max_delay_steps = 4
    seen: dict[str, list[float]] = {}
    for delay in (0, 1, 4):
        action._delay.fill_(delay)
        action.process_actions(torch.zeros(NUM_ENVS, 29))
        action.process_actions(torch.ones(NUM_ENVS, 29))
        seen[str(delay)] = []
        for _ in range(4):
            action.apply_actions()
            target = env.scene["robot"].actuators.target_command.position.torch[0, 3]
            seen[str(delay)].append(float(target))
    action.cfg.max_delay_steps = 0
    action._delay.zero_()
    return seen


def endings(env, motion) -> dict:
    """What ends an episode at the clip's last frame, and after a fall in the middle of it."""
    env.reset()
    first_frames = motion.frame.tolist()
    put_on_frame(motion, FRAMES - 1)
    env.termination_manager.compute()
    at_end = [bool(env.termination_manager.time_outs.all()), bool(env.termination_manager.terminated.any())]
    put_on_frame(motion, FALL_FRAME)
    reference, root = motion.reference, motion.robot.root
    low = reference.body_pos_w[:, root] - torch.tensor([0.0, 0.0, 0.4])
    joints = torch.stack([reference.joint_pos, reference.joint_vel])
    motion.robot.write(torch.arange(NUM_ENVS), low, reference.body_quat_w[:, root], torch.zeros(NUM_ENVS, 6), joints)
    motion._errors = None
    env.termination_manager.compute()
    fallen = [bool(env.termination_manager.time_outs.any()), bool(env.termination_manager.terminated.all())]
    return {"first_frames": first_frames, "at_end": at_end, "fallen": fallen}


def stays_finite(env, scale: float) -> dict:
    """50 steps of random actions."""
    env.reset()
    torch.manual_seed(2)
    finite, ended = True, 0
    for _ in range(50):
        observations, reward, terminated, truncated, _ = env.step(scale * torch.randn(NUM_ENVS, 29))
        finite &= bool(torch.isfinite(observations["critic"]).all() and torch.isfinite(reward).all())
        ended += int((terminated | truncated).sum())
    return {
        "finite": finite,
        "ended": ended,
        "height": float(env.scene["robot"].data.root_link_pos_w.torch[:, 2].min()),
    }


def main() -> None:
    clip = swaying_clip()
    motions = LoadedMotionSet(name="sway", clips=(clip,), weights=(1.0,), roles=(Role.OTHER,))
    task = TaskConfig(
        load_motions=motions.on_device,
        num_envs=NUM_ENVS,
        backend=Backend(sys.argv[1]),
        device="cpu",
        state_estimation=True,
        reference_window=(4, 8, 16),  # as the shipped policy has it
        motion_ids=("another", "sway"),
        play=True,
    )
    env = ManagerBasedRLEnv(tracking_env_cfg(task))
    motion = motion_command(env)
    robot = env.scene["robot"]
    env.reset()
    result = {
        "joint_names": list(robot.joint_names),
        "body_names": list(robot.body_names),
        "mass": float(robot.data.body_mass.torch[0].sum()),
        "kp_knee": float(robot.data.joint_stiffness.torch[0, 3]),
        "kd_knee": float(robot.data.joint_damping.torch[0, 3]),
        "effort_knee": float(robot.data.joint_effort_limits.torch[0, 3]),
        "armature_knee": float(robot.data.joint_armature.torch[0, 3]),
        "policy_dim": env.observation_manager.group_obs_dim["policy"][0],
        "critic_dim": env.observation_manager.group_obs_dim["critic"][0],
        "replay": replay(env, motion),
        "observation": observation_difference(env, motion, task, clip),
        "shipped_action": shipped_action_difference(env, motion, task, clip),
        "delay": delayed_targets(env),
        "endings": endings(env, motion),
        "zero": stays_finite(env, 0.0),
        "random": stays_finite(env, 1.0),
    }
    print("PROBE " + json.dumps(result), flush=True)
    env.close()


if __name__ == "__main__":
    main()
