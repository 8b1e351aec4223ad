"""Stop references: from whatever the robot is doing to standing, within three steps or so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT
from bm_core.locomotion.config import GaitConfig
from bm_core.locomotion.gait_state import GaitState, look_at
from bm_core.locomotion.generator import GeneratedMotion, generate
from bm_core.rotations import angular_velocity_from_quats, quat_from_yaw, quat_multiply, quat_rotate, yaw_from_quat

Array = NDArray[np.floating]

BRAKE_ACCEL = (1.4, 1.4, 3.0)
"""Deceleration of a stop: m/s^2, m/s^2, rad/s^2. From 1 m/s it takes two or three steps and the closing one."""

_ROLL_OUT_FRAMES = 24
"""At full speed the path brakes this much later: the first foothold need not catch everything."""

_WALK_IN_FRAMES = 130
"""From standing until the gait is steady at any speed."""


def stop_reference(start: GaitState, seconds: float = 4.0, config: GaitConfig | None = None) -> GeneratedMotion:
    """From the state of the robot (or of the reference it follows) to standing; frame 0 is the start, 50 Hz.

    The foot in the air lands where it catches the robot, the path brakes, the feet close, the weight is centred.
    """
    gait = replace(config or GaitConfig(), max_accel=BRAKE_ACCEL, refinements=2)
    velocity = look_at(start).velocity
    # A sidestep is at its width's limit where a stride still has room.
    speed = float(np.hypot(velocity[0], 2.5 * velocity[1]))
    commands = np.zeros((round(seconds / CONTROL_DT) + 1, 3))
    commands[: round(_ROLL_OUT_FRAMES * min(max(speed - 0.3, 0.0) / 0.6, 1.0))] = velocity
    return generate(commands, gait, start)


def stand_reference(seconds: float = 1.0, config: GaitConfig | None = None) -> GeneratedMotion:
    """Standing at the origin, feet flat and parallel, weight centred."""
    return generate(np.zeros((round(seconds / CONTROL_DT) + 1, 3)), config)


def steady_state(
    velocity: Array, phase: float, pose: Array | None = None, config: GaitConfig | None = None
) -> GaitState:
    """What a robot does that walks steadily at `velocity` (3,) vx, vy m/s, wz rad/s.

    `phase` in [0, 1) of a stride, 0 where the left foot lifts; `pose` (3,) x, y, yaw of the pelvis. For callers that
    know no more than that. ConfigError for a velocity at which the robot stands.
    """
    config = config or GaitConfig()
    motion = generate(np.tile(np.asarray(velocity, dtype=np.float64), (2 * _WALK_IN_FRAMES, 1)), config)
    on_ground = motion.foot_contact[_WALK_IN_FRAMES:, 0]
    lifts = np.flatnonzero(on_ground[:-1] & ~on_ground[1:])
    if len(lifts) < 2:
        raise ConfigError(f"velocity {velocity}: the robot stands; more than 0.02 m/s or rad/s expected")
    frame = _WALK_IN_FRAMES + lifts[0] + round((phase % 1.0) * (lifts[1] - lifts[0]))
    state = state_at(motion, int(frame))
    return state if pose is None else _moved(state, np.asarray(pose, dtype=np.float64))


def state_at(motion: GeneratedMotion, frame: int) -> GaitState:
    """The state at a frame of a motion; velocities by central differences."""
    first, last = max(frame - 1, 0), min(frame + 1, len(motion.joint_pos) - 1)
    around = slice(first, last + 1)
    dt = CONTROL_DT * (last - first)
    return GaitState(
        root_xy=motion.root_pos[frame, :2],
        root_quat=motion.root_quat[frame],
        root_lin_vel=(motion.root_pos[last] - motion.root_pos[first]) / dt,
        root_ang_vel=angular_velocity_from_quats(motion.root_quat[around], CONTROL_DT)[frame - first],
        joint_pos=motion.joint_pos[frame],
        joint_vel=(motion.joint_pos[last] - motion.joint_pos[first]) / dt,
        velocity=motion.velocity[frame],
    )


def _moved(state: GaitState, pose: Array) -> GaitState:
    turn = quat_from_yaw(float(pose[2]) - float(yaw_from_quat(state.root_quat)))
    assert state.root_lin_vel is not None
    return replace(
        state,
        root_xy=pose[:2],
        root_quat=quat_multiply(turn, state.root_quat),
        root_lin_vel=quat_rotate(turn, state.root_lin_vel),
        root_ang_vel=quat_rotate(turn, state.root_ang_vel),
    )
