"""The Unitree G1 with 29 joints: names, limits, motors, gains, default pose.

Joint order is Unitree's motor index = MJCF order (depth first). Ranges: Unitree's g1_29dof_rev_1_0 description.
Motors, gains and action scale: BeyondMimic Tables S3 and S5 (v4), as in whole_body_tracking's g1.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CONTROL_DT = 0.02
"""Policy period in s (50 Hz)."""

DEFAULT_ROOT_HEIGHT = 0.76
"""Height of the pelvis origin above the floor in the default pose, m."""

ROOT_BODY = "pelvis"
ANCHOR_BODY = "torso_link"
HEAD_IN_ANCHOR = (0.0, 0.0, 0.43)
"""Middle of the head in torso_link, m; the paper's fall is this point below 0.2 m."""
FEET = ("left_ankle_roll_link", "right_ankle_roll_link")
END_EFFECTORS = (*FEET, "left_wrist_yaw_link", "right_wrist_yaw_link")

PELVIS_IMU = (0.04525, 0.0, -0.08339)
"""Where the IMU sits in the pelvis frame, m."""
PELVIS_COM = (0.0, 0.0, -0.07605)
"""Centre of mass of the pelvis link in its frame, m."""

TARGET_BODIES = (
    "pelvis",
    "left_hip_roll_link",
    "left_knee_link",
    "left_ankle_roll_link",
    "right_hip_roll_link",
    "right_knee_link",
    "right_ankle_roll_link",
    "torso_link",
    "left_shoulder_roll_link",
    "left_elbow_link",
    "left_wrist_yaw_link",
    "right_shoulder_roll_link",
    "right_elbow_link",
    "right_wrist_yaw_link",
)
"""The 14 bodies whose pose is tracked, in the order of whole_body_tracking."""


@dataclass(frozen=True, kw_only=True)
class Motor:
    """A motor family seen at the joint: reflected rotor inertia and the limits of the gearbox."""

    armature: float
    """Reflected inertia, kg m^2."""
    effort: float
    """Peak torque, N m."""
    velocity: float
    """No-load speed, rad/s."""

    natural_frequency: float = 2.0 * math.pi * 10.0
    """Of the PD loop on the armature alone, rad/s."""
    damping_ratio: float = 2.0

    @property
    def stiffness(self) -> float:
        """kp = I wn^2, N m/rad. Only the armature counts: deliberately soft (BeyondMimic 3.1)."""
        return self.armature * self.natural_frequency**2

    @property
    def damping(self) -> float:
        """kd = 2 zeta I wn, N m s/rad."""
        return 2.0 * self.damping_ratio * self.armature * self.natural_frequency

    @property
    def action_scale(self) -> float:
        """rad of set-point offset for an action of 1: a quarter of the effort limit on a locked joint."""
        return 0.25 * self.effort / self.stiffness


_M5020 = Motor(armature=0.003609725, effort=25.0, velocity=37.0)
_M7520_14 = Motor(armature=0.010177520, effort=88.0, velocity=32.0)
_M7520_22 = Motor(armature=0.025101925, effort=139.0, velocity=20.0)
_M4010 = Motor(armature=0.00425, effort=5.0, velocity=22.0)
# Ankles, waist roll and waist pitch are parallel linkages of two 5020; nominal 1:1 transmission, so both add up.
_M5020_PAIR = Motor(armature=0.00721945, effort=50.0, velocity=37.0)


@dataclass(frozen=True, kw_only=True)
class Joint:
    """One actuated hinge."""

    name: str
    lower: float
    """rad"""
    upper: float
    """rad"""
    motor: Motor
    default_pos: float = 0.0
    """rad, in the default (knees bent) pose; actions are offsets from it."""

    @property
    def armature(self) -> float:
        return self.motor.armature

    @property
    def effort(self) -> float:
        return self.motor.effort

    @property
    def velocity(self) -> float:
        return self.motor.velocity

    @property
    def kp(self) -> float:
        return self.motor.stiffness

    @property
    def kd(self) -> float:
        return self.motor.damping

    @property
    def action_scale(self) -> float:
        return self.motor.action_scale


def _leg(side: str) -> tuple[Joint, ...]:
    # Hip roll is the one leg joint whose range is not symmetric: inwards 0.5236, outwards 2.9671.
    roll = (-0.5236, 2.9671) if side == "left" else (-2.9671, 0.5236)
    return (
        Joint(name=f"{side}_hip_pitch_joint", lower=-2.5307, upper=2.8798, motor=_M7520_14, default_pos=-0.312),
        Joint(name=f"{side}_hip_roll_joint", lower=roll[0], upper=roll[1], motor=_M7520_22),
        Joint(name=f"{side}_hip_yaw_joint", lower=-2.7576, upper=2.7576, motor=_M7520_14),
        Joint(name=f"{side}_knee_joint", lower=-0.087267, upper=2.8798, motor=_M7520_22, default_pos=0.669),
        Joint(name=f"{side}_ankle_pitch_joint", lower=-0.87267, upper=0.5236, motor=_M5020_PAIR, default_pos=-0.363),
        Joint(name=f"{side}_ankle_roll_joint", lower=-0.2618, upper=0.2618, motor=_M5020_PAIR),
    )


def _arm(side: str) -> tuple[Joint, ...]:
    roll, outwards = ((-1.5882, 2.2515), 0.2) if side == "left" else ((-2.2515, 1.5882), -0.2)
    return (
        Joint(name=f"{side}_shoulder_pitch_joint", lower=-3.0892, upper=2.6704, motor=_M5020, default_pos=0.2),
        Joint(name=f"{side}_shoulder_roll_joint", lower=roll[0], upper=roll[1], motor=_M5020, default_pos=outwards),
        Joint(name=f"{side}_shoulder_yaw_joint", lower=-2.618, upper=2.618, motor=_M5020),
        Joint(name=f"{side}_elbow_joint", lower=-1.0472, upper=2.0944, motor=_M5020, default_pos=0.6),
        Joint(name=f"{side}_wrist_roll_joint", lower=-1.97222, upper=1.97222, motor=_M5020),
        Joint(name=f"{side}_wrist_pitch_joint", lower=-1.61443, upper=1.61443, motor=_M4010),
        Joint(name=f"{side}_wrist_yaw_joint", lower=-1.61443, upper=1.61443, motor=_M4010),
    )


_WAIST = (
    Joint(name="waist_yaw_joint", lower=-2.618, upper=2.618, motor=_M7520_14),
    Joint(name="waist_roll_joint", lower=-0.52, upper=0.52, motor=_M5020_PAIR),
    Joint(name="waist_pitch_joint", lower=-0.52, upper=0.52, motor=_M5020_PAIR),
)


def _child_body(joint_name: str) -> str:
    # The torso is the link behind waist_pitch; every other link is named after its joint.
    return "torso_link" if joint_name == "waist_pitch_joint" else joint_name.replace("_joint", "_link")


@dataclass(frozen=True)
class RobotSpec:
    """A fixed robot. Arrays are float64, read-only, in joint order."""

    name: str
    joints: tuple[Joint, ...]

    def _array(self, values: list[float]) -> NDArray[np.float64]:
        array = np.array(values, dtype=np.float64)
        array.setflags(write=False)
        return array

    def joint(self, name: str) -> Joint:
        """The joint of that name; KeyError if there is none."""
        return self.joints[self.joint_index[name]]

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        return tuple(joint.name for joint in self.joints)

    @cached_property
    def joint_index(self) -> dict[str, int]:
        return {joint.name: index for index, joint in enumerate(self.joints)}

    @cached_property
    def body_names(self) -> tuple[str, ...]:
        """The 30 bodies in MJCF order: pelvis, then the child of each joint."""
        return (ROOT_BODY, *(_child_body(name) for name in self.joint_names))

    @cached_property
    def body_index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.body_names)}

    @cached_property
    def lower(self) -> NDArray[np.float64]:
        return self._array([joint.lower for joint in self.joints])

    @cached_property
    def upper(self) -> NDArray[np.float64]:
        return self._array([joint.upper for joint in self.joints])

    @cached_property
    def effort(self) -> NDArray[np.float64]:
        return self._array([joint.effort for joint in self.joints])

    @cached_property
    def velocity(self) -> NDArray[np.float64]:
        return self._array([joint.velocity for joint in self.joints])

    @cached_property
    def armature(self) -> NDArray[np.float64]:
        return self._array([joint.armature for joint in self.joints])

    @cached_property
    def kp(self) -> NDArray[np.float64]:
        return self._array([joint.kp for joint in self.joints])

    @cached_property
    def kd(self) -> NDArray[np.float64]:
        return self._array([joint.kd for joint in self.joints])

    @cached_property
    def action_scale(self) -> NDArray[np.float64]:
        return self._array([joint.action_scale for joint in self.joints])

    @cached_property
    def default_joint_pos(self) -> NDArray[np.float64]:
        return self._array([joint.default_pos for joint in self.joints])


G1 = RobotSpec(name="unitree_g1_29dof", joints=(*_leg("left"), *_leg("right"), *_WAIST, *_arm("left"), *_arm("right")))

TARGET_BODY_INDICES = tuple(G1.body_index[name] for name in TARGET_BODIES)


def mjcf_path() -> Path:
    """The project's own MJCF of the G1 (kinematics, inertias, limits, primitive collision shapes)."""
    return Path(__file__).with_name("assets") / "g1.xml"
