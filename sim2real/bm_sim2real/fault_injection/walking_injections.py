"""What only a walking robot's balance shows, and losses that must end in standing; see injections.py."""

from __future__ import annotations

import dataclasses

import numpy as np

from bm_core.g1 import G1
from bm_core.rotations import quat_from_euler_xyz, quat_multiply, quat_rotate_inverse
from bm_core.state import RobotState
from bm_sim2real.fault_injection.drivers import Walk
from bm_sim2real.fault_injection.injections import Inject
from bm_sim2real.fault_injection.rig import Rig
from bm_sim2real.holds import Hold
from bm_sim2real.robots.unitree.remote import Remote


def turned_imu(roll: float, pitch: float, yaw: float) -> Inject:
    """The pelvis IMU is mounted turned, rad."""
    turn = quat_from_euler_xyz(roll, pitch, yaw)

    def change(state: RobotState) -> RobotState:
        return dataclasses.replace(
            state,
            pelvis_quat_w=np.asarray(quat_multiply(state.pelvis_quat_w, turn), dtype=np.float64),
            pelvis_gyro_b=np.asarray(quat_rotate_inverse(turn, state.pelvis_gyro_b), dtype=np.float64),
            pelvis_acc_b=np.asarray(quat_rotate_inverse(turn, state.pelvis_acc_b), dtype=np.float64),
        )

    def inject(rig: Rig) -> None:
        rig.alter(change)

    return inject


def quaternion_xyzw(rig: Rig) -> None:
    """Its last number first."""
    rig.alter(lambda state: dataclasses.replace(state, pelvis_quat_w=np.roll(state.pelvis_quat_w, -1)))


def frozen_imu(rig: Rig) -> None:
    """The pelvis IMU repeats itself; the encoders live."""
    held: list[RobotState] = []

    def change(state: RobotState) -> RobotState:
        held.append(state) if not held else None
        first = held[0]
        return dataclasses.replace(
            state,
            pelvis_quat_w=first.pelvis_quat_w,
            pelvis_gyro_b=first.pelvis_gyro_b,
            pelvis_acc_b=first.pelvis_acc_b,
        )

    rig.alter(change)


def encoder_offset(joint: str, offset: float) -> Inject:
    """One encoder is off by so many rad."""
    index = G1.joint_index[joint]

    def change(state: RobotState) -> RobotState:
        joint_pos = state.joint_pos.copy()
        joint_pos[index] += offset
        return dataclasses.replace(state, joint_pos=joint_pos)

    def inject(rig: Rig) -> None:
        rig.alter(change)

    return inject


def dead_motor(joint: str) -> Inject:
    def inject(rig: Rig) -> None:
        rig.body.dead = [G1.joint_index[joint]]

    return inject


def exchanged_legs(rig: Rig) -> None:
    """Targets of the left leg go to the right one, and the other way."""
    order = np.r_[6:12, 0:6, 12 : len(G1.joint_names)]
    rig.forge = lambda low: dataclasses.replace(low, q=low.q[order])


def reversed_joints(rig: Rig) -> None:
    """Targets in the opposite order."""
    rig.forge = lambda low: dataclasses.replace(low, q=low.q[::-1].copy())


def operator_leaves(rig: Rig) -> None:
    rig.beats = False


def remote_lost(rig: Rig) -> None:
    """Nothing is held any more, the deadman least of all."""
    rig.robot.wire.remote = Remote()


def source_lost(source: int) -> Inject:
    """Planner or guidance spoke once, and never again."""

    def inject(rig: Rig) -> None:
        assert isinstance(rig.driver, Walk)
        rig.driver.machine.sources.beat(Hold(source))

    return inject
