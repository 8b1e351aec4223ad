"""What can be broken between policy and robot: negative controls, which no gate may let through."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import G1
from bm_core.rotations import quat_from_euler_xyz, quat_multiply, quat_rotate_inverse
from bm_core.state import RobotState
from bm_sim2real.policies.tracker import PolicyOutput, TrackerPolicy

Array = NDArray[Any]

_MIRROR = {"left": "right", "right": "left"}
_SWAPPED = [G1.joint_index["_".join(_MIRROR.get(part, part) for part in name.split("_"))] for name in G1.joint_names]


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, kw_only=True)
class Sabotage:
    """One way to break a policy that is right."""

    about: str
    reading: Callable[[RobotState], RobotState] = _same
    """What the policy reads."""
    observation: Callable[[Array], Array] = _same
    """What the network sees."""
    target: Callable[[Array], Array] = _same
    """Joint targets (29,) rad."""
    gain: float = 1.0
    """Factor on stiffness and damping."""


class SabotagedTracker(TrackerPolicy):
    """A tracker, proven and then broken."""

    def __init__(self, tracker: TrackerPolicy, sabotage: Sabotage) -> None:
        self.__dict__.update(tracker.__dict__)
        network = tracker._network
        self._sabotage = sabotage
        self._network = lambda observation, time_step: network(sabotage.observation(observation), time_step)

    def step(self, state: RobotState) -> PolicyOutput:
        sabotage = self._sabotage
        output = super().step(sabotage.reading(state))
        return dataclasses.replace(
            output, q=sabotage.target(output.q), kp=sabotage.gain * output.kp, kd=sabotage.gain * output.kd
        )


def _imu_rolled(state: RobotState) -> RobotState:
    turn = quat_from_euler_xyz(np.pi / 2, 0.0, 0.0)
    return dataclasses.replace(
        state,
        pelvis_quat_w=np.asarray(quat_multiply(state.pelvis_quat_w, turn), dtype=np.float64),
        pelvis_gyro_b=np.asarray(quat_rotate_inverse(turn, state.pelvis_gyro_b), dtype=np.float64),
    )


SABOTAGES = {
    "zero_action": Sabotage(about="targets are the default pose", target=lambda q: np.array(G1.default_joint_pos)),
    "swapped_sides": Sabotage(about="left and right joints exchanged", target=lambda q: q[_SWAPPED]),
    "reversed_joints": Sabotage(about="targets in the opposite joint order", target=lambda q: q[::-1].copy()),
    "imu_rolled": Sabotage(about="IMU mounted with 90 degrees of roll", reading=_imu_rolled),
    "gyro_stuck": Sabotage(
        about="gyro stuck at 2 rad/s",
        reading=lambda state: dataclasses.replace(state, pelvis_gyro_b=np.full(3, 2.0)),
    ),
    "encoders_stuck": Sabotage(
        about="encoders say the default pose at rest",
        reading=lambda state: dataclasses.replace(
            state, joint_pos=np.array(G1.default_joint_pos), joint_vel=np.zeros(len(G1.joint_names))
        ),
    ),
    "observation_shifted": Sabotage(
        about="every number of the observation one place too far", observation=lambda o: np.roll(o, 1)
    ),
    "weak_gains": Sabotage(about="stiffness and damping at a quarter", gain=0.25),
}
