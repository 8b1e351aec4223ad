"""A robot without a body: joints that obey their motors, a pelvis that hangs in the air. Shipped for tests."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import RobotError
from bm_core.g1 import G1
from bm_core.state import LowCommand, RobotState
from bm_sim2real.robots.protocol import BaseState, RobotFeatures
from bm_sim2real.robots.simulation_config import TICK_DT

Array = NDArray[np.float64]

_NUM_JOINTS = len(G1.joint_names)
_LINK_INERTIA = 0.05
"""kg m^2 behind every joint; the order of the G1's elbow."""


class MockRobot:
    """Passes the same contract test as MujocoRobot, starts in no time, and can be told to misbehave.

    `faults` are fields of RobotState that replace the true ones from the next reading on; `is_silent` stops readings.
    """

    def __init__(self) -> None:
        self.features = RobotFeatures(
            model=G1.name, joint_names=G1.joint_names, tick_dt=TICK_DT, base_state=BaseState.NONE, is_simulated=True
        )
        self.faults: dict[str, object] = {}
        self.is_silent = False
        self.written: list[LowCommand] = []
        self._is_connected = False

    def connect(self) -> None:
        self._is_connected = True
        self.reset()

    def close(self) -> None:
        self._is_connected = False

    def reset(self, *, joint_pos: Array | None = None) -> None:
        """At rest at `joint_pos` (29,), by default in the default pose; the motors hold it."""
        self._require_connection()
        self._joint_pos = np.array(G1.default_joint_pos if joint_pos is None else joint_pos, dtype=np.float64)
        self._joint_vel = np.zeros(_NUM_JOINTS)
        self._torque = np.zeros(_NUM_JOINTS)
        self._tick = 0
        zero = np.zeros(_NUM_JOINTS)
        self._command = LowCommand(seq=0, state_seq=0, q=self._joint_pos, dq=zero, tau=zero, kp=G1.kp, kd=G1.kd)
        self._state = self._sense()

    def read(self) -> RobotState:
        self._require_connection()
        if not self.is_silent and self._state.seq != self._tick:
            self._state = self._sense()
        return dataclasses.replace(self._state, **self.faults) if self.faults else self._state

    def write(self, command: LowCommand) -> None:
        self._require_connection()
        if any(len(a) != _NUM_JOINTS for a in (command.q, command.dq, command.tau, command.kp, command.kd)):
            raise RobotError(f"command {command.seq}: not {_NUM_JOINTS} joints; check the mapping by name")
        self.written.append(command)
        self._command = command

    def step(self) -> None:
        self._require_connection()
        c, inertia = self._command, G1.armature + _LINK_INERTIA
        free = c.tau + c.kp * (c.q - self._joint_pos) + c.kd * (c.dq - self._joint_vel)
        # Damping implicitly, as a stiff motor on a light joint would otherwise ring.
        torque = np.clip(free / (1.0 + c.kd * TICK_DT / inertia), -G1.effort, G1.effort)
        self._joint_vel = self._joint_vel + torque / inertia * TICK_DT
        self._joint_pos = self._joint_pos + self._joint_vel * TICK_DT
        self._torque = torque
        self._tick += 1

    def _require_connection(self) -> None:
        if not self._is_connected:
            raise RobotError("MockRobot: not connected; call connect() first")

    def _sense(self) -> RobotState:
        return RobotState(
            seq=self._tick,
            time=self._tick * TICK_DT,
            joint_pos=self._joint_pos.copy(),
            joint_vel=self._joint_vel.copy(),
            joint_torque=self._torque.copy(),
            pelvis_quat_w=np.array([1.0, 0.0, 0.0, 0.0]),
            pelvis_gyro_b=np.zeros(3),
            pelvis_acc_b=np.array([0.0, 0.0, 9.81]),
        )
