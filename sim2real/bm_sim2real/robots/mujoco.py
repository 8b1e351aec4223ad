"""The simulated G1: MuJoCo behind the Robot protocol, with what a simulator can do beyond it."""

# MuJoCo is a compiled module without type stubs.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import dataclasses
from collections import deque

import mujoco
import numpy as np
from numpy.typing import NDArray

from bm_core.errors import RobotError
from bm_core.g1 import ANCHOR_BODY, DEFAULT_ROOT_HEIGHT, FEET, G1
from bm_core.rotations import quat_rotate, quat_rotate_inverse
from bm_core.state import LowCommand, RobotState
from bm_sim2real.estimator.base_estimator import BaseEstimate, BaseEstimator
from bm_sim2real.robots.estimated import with_estimate
from bm_sim2real.robots.ground_truth import GroundTruth
from bm_sim2real.robots.imu_errors import ImuModel
from bm_sim2real.robots.mujoco_model import FLOOR_GEOM, GANTRY_BODY, GANTRY_WELD, build_model
from bm_sim2real.robots.protocol import BaseState, RobotFeatures
from bm_sim2real.robots.simulation_config import TICK_DT, SimulationConfig
from bm_sim2real.robots.unitree.torso_imu import TorsoImu

Array = NDArray[np.float64]

_NUM_JOINTS = len(G1.joint_names)
_NUM_BODIES = len(G1.body_names)
_UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])
_GRAVITY = np.array([0.0, 0.0, 9.81])
_KNEE = 0.8
"""Share of the no-load speed from which torque falls; Unitree publishes no curve."""


class MujocoRobot:
    """A G1 on a flat floor, 2 ms a step. Lockstep and deterministic: time passes only in `step`.

    Motor torque = clip(tau + kp (q* - q) + kd (dq* - dq), effort), computed anew in every physics step.
    """

    def __init__(self, config: SimulationConfig | None = None) -> None:
        self.config = config or SimulationConfig()
        self.features = RobotFeatures(
            model=G1.name,
            joint_names=G1.joint_names,
            tick_dt=TICK_DT,
            base_state=self.config.base_state,
            is_simulated=True,
        )
        self._data: mujoco.MjData | None = None
        self._imu = None if self.config.imu.is_none else ImuModel(self.config.imu)
        is_estimated = self.config.base_state is BaseState.ESTIMATE
        self.estimator = BaseEstimator(dt=TICK_DT) if is_estimated else None
        """Supplies the base state, where the config says so."""

    def connect(self) -> None:
        """Builds the world. The robot stands in its default pose, motors holding it."""
        self.model = build_model(self.config)
        self._data = data = mujoco.MjData(self.model)
        # Views into MuJoCo's own memory: looking an attribute up costs more than using it.
        self._qpos, self._qvel, self._ctrl, self._bias = data.qpos, data.qvel, data.ctrl, self.model.actuator_biasprm
        self._acc = data.sensor("pelvis_acc").data
        self._torque = data.qfrc_actuator[6:]
        self._force_range = self.model.actuator_forcerange
        self._gantry = int(self.model.body(GANTRY_BODY).mocapid[0])
        self._weld = self.model.equality(GANTRY_WELD).id
        self._floor = self.model.geom(FLOOR_GEOM).id
        self._anchor = self.model.body(ANCHOR_BODY).id
        self._imu_pos = self.model.site("imu_in_pelvis").pos.copy()
        self._feet = {self.model.body(name).id for name in FEET}
        self.reset()

    def close(self) -> None:
        """Drops the world; harmless if there is none."""
        self._data = None

    def read(self) -> RobotState:
        """Joint positions, speeds and torques, pelvis IMU; the base as SimulationConfig.base_state says."""
        self._connected()
        if self._state is None:
            self._state = state = self._sense()
            if self.estimator is not None:
                self._state = with_estimate(state, self._estimated(self.estimator, state))
        return self._state

    def write(self, command: LowCommand) -> None:
        """In force delay_ms later, until the next. RobotError for a wrong number of joints."""
        self._connected()
        if command is self._written:
            return
        if any(len(a) != _NUM_JOINTS for a in (command.q, command.dq, command.tau, command.kp, command.kd)):
            raise RobotError(f"command {command.seq}: not {_NUM_JOINTS} joints; check the mapping by name")
        self._written = command
        self._queue.append((self._tick + self.config.delay_ticks, command))

    def step(self) -> None:
        """One physics step of 2 ms."""
        data = self._connected()
        while self._queue and self._queue[0][0] <= self._tick:
            self._apply(self._queue.popleft()[1])
        if self.config.has_speed_limit:
            self._limit_speed()
        mujoco.mj_step(self.model, data)
        self._tick += 1
        self._state = None
        if self.estimator is not None:
            self.read()  # the estimator misses no tick, whoever reads

    def reset(
        self,
        *,
        root_pos_w: Array | None = None,
        root_quat_w: Array = _UPRIGHT,
        root_lin_vel_w: Array | None = None,
        root_ang_vel_w: Array | None = None,
        joint_pos: Array | None = None,
        joint_vel: Array | None = None,
    ) -> None:
        """Puts the robot into a state at time 0; without arguments into the default pose on the floor, at rest.

        root_* are the pelvis link's: (3,) m, (4,) wxyz, (3,) m/s and (3,) rad/s in the world frame; joints (29,).
        The gantry lets go, commands on their way are forgotten, the motors hold `joint_pos` until the first arrives.
        """
        data = self._connected()
        mujoco.mj_resetData(self.model, data)
        joint_pos = G1.default_joint_pos if joint_pos is None else joint_pos
        self._qpos[:3] = (0.0, 0.0, DEFAULT_ROOT_HEIGHT) if root_pos_w is None else root_pos_w
        self._qpos[3:7] = root_quat_w
        self._qpos[7:] = joint_pos
        if root_lin_vel_w is not None:
            self._qvel[:3] = root_lin_vel_w
        if root_ang_vel_w is not None:
            self._qvel[3:6] = quat_rotate_inverse(np.asarray(root_quat_w), root_ang_vel_w)
        if joint_vel is not None:
            self._qvel[6:] = joint_vel
        self._tick = 0
        self._state: RobotState | None = None
        self._written: LowCommand | None = None
        self._queue: deque[tuple[int, LowCommand]] = deque()
        zero = np.zeros(_NUM_JOINTS)
        self._apply(LowCommand(seq=0, state_seq=0, q=joint_pos, dq=zero, tau=zero, kp=G1.kp, kd=G1.kd))
        mujoco.mj_forward(self.model, data)  # so that the first reading has an acceleration
        self._jolt_w = np.zeros(3)
        if self._imu is not None:
            self._imu.reset()
        if self.estimator is not None:
            state = self._sense()
            estimate = self.estimator.reset(state, self._qpos[:3].copy(), self._qvel[:3].copy())
            self._state = with_estimate(state, estimate)

    def hang(self, clearance: float = 0.05) -> None:
        """Hooks the torso, upright where it is, with the soles `clearance` m above the floor."""
        data = self._connected()
        mujoco.mj_kinematics(self.model, data)
        lift = clearance - self._sole_height()
        self._qpos[2] += lift
        data.mocap_pos[self._gantry] = data.xpos[self._anchor] + (0.0, 0.0, lift)
        data.mocap_quat[self._gantry] = _UPRIGHT
        data.eq_active[self._weld] = 1
        mujoco.mj_forward(self.model, data)
        self._state = None

    def pick_up(self, clearance: float = 0.05) -> None:
        """Back onto the gantry, upright and at rest, from wherever it lies; its clock goes on."""
        data = self._connected()
        mujoco.mj_resetData(self.model, data)
        self._qpos[:3], self._qpos[3:7], self._qpos[7:] = (
            (0.0, 0.0, DEFAULT_ROOT_HEIGHT),
            _UPRIGHT,
            G1.default_joint_pos,
        )
        self.hang(clearance)

    def lower(self, distance: float) -> None:
        """Moves the gantry's hook down by `distance` m (up if negative)."""
        self._connected().mocap_pos[self._gantry, 2] -= distance

    def release(self) -> None:
        """Unhooks the gantry."""
        self._connected().eq_active[self._weld] = 0

    @property
    def is_hanging(self) -> bool:
        """Whether the gantry holds the torso."""
        return bool(self._connected().eq_active[self._weld])

    def push(self, lin_vel_w: Array, ang_vel_w: Array) -> None:
        """Adds to the pelvis's velocity at once: (3,) m/s of the link origin and (3,) rad/s, world frame."""
        self._connected()
        quat, lever = self._qpos[3:7], quat_rotate(self._qpos[3:7], self._imu_pos)
        self._jolt_w += lin_vel_w + np.cross(ang_vel_w, lever)
        self._qvel[:3] += lin_vel_w
        self._qvel[3:6] += quat_rotate_inverse(quat, np.asarray(ang_vel_w, dtype=np.float64))
        self._state = None

    def ground_truth(self) -> GroundTruth:
        """Poses and velocities of all bodies right now."""
        data = self._connected()
        mujoco.mj_kinematics(self.model, data)
        mujoco.mj_comPos(self.model, data)
        mujoco.mj_comVel(self.model, data)
        bodies = slice(1, 1 + _NUM_BODIES)
        pos = data.xpos[bodies].copy()
        ang = data.cvel[bodies, :3].copy()
        # MuJoCo keeps a body's linear velocity at the tree's centre of mass; ours are of link origins.
        lin = data.cvel[bodies, 3:] + np.cross(ang, pos - data.subtree_com[1])
        return GroundTruth(
            time=data.time,
            joint_pos=self._qpos[7:].copy(),
            joint_vel=self._qvel[6:].copy(),
            body_pos_w=pos,
            body_quat_w=data.xquat[bodies].copy(),
            body_lin_vel_w=lin,
            body_ang_vel_w=ang,
        )

    def floor_contacts(self) -> frozenset[str]:
        """Names of the bodies that touched the floor in the last step, feet included."""
        contact = self._connected().contact
        geoms = contact.geom[(contact.geom == self._floor).any(axis=1) & (contact.dist <= 0.0)]
        bodies = {int(self.model.geom_bodyid[geom]) for geom in np.unique(geoms) if geom != self._floor}
        return frozenset(self.model.body(body).name for body in bodies)

    def pelvis_height(self) -> float:
        """m above the floor; cheaper than the whole ground truth."""
        self._connected()
        return float(self._qpos[2])

    def qpos(self) -> Array:
        """(36,) root position m, quaternion wxyz, joints rad, right now; a copy."""
        self._connected()
        return self._qpos.copy()

    def torso_imu(self) -> TorsoImu:
        """A second, perfect IMU in the torso; its accelerometer feels gravity alone."""
        data, spin = self._connected(), np.zeros(6)
        mujoco.mj_objectVelocity(self.model, data, mujoco.mjtObj.mjOBJ_XBODY, self._anchor, spin, 1)
        quat = data.xquat[self._anchor].copy()
        return TorsoImu(quat, spin[:3], np.asarray(quat_rotate_inverse(quat, _GRAVITY), dtype=np.float64))

    def motor_torque(self) -> Array:
        """(29,) N m that the motors really exerted in the last step."""
        self._connected()
        return self._torque.copy()

    def _connected(self) -> mujoco.MjData:
        if self._data is None:
            raise RobotError("MujocoRobot: not connected; call connect() first")
        return self._data

    def _estimated(self, estimator: BaseEstimator, state: RobotState) -> BaseEstimate:
        """The estimate for this reading, each tick once."""
        if state.time <= estimator.estimate.time:
            return estimator.estimate
        # A push changes the velocity between two steps, which no simulated sensor shows; a real accelerometer feels it.
        if self._jolt_w.any():
            jolt_b = quat_rotate_inverse(state.pelvis_quat_w, self._jolt_w) / TICK_DT
            state = dataclasses.replace(state, pelvis_acc_b=state.pelvis_acc_b + jolt_b)
            self._jolt_w = np.zeros(3)
        return estimator.update(state)

    def _sense(self) -> RobotState:
        has_base = self.config.base_state is BaseState.GROUND_TRUTH
        quat, gyro, acc = self._qpos[3:7].copy(), self._qvel[3:6].copy(), self._acc.copy()
        true_quat = quat
        if self._imu is not None:
            quat, gyro, acc = self._imu.read(self._tick * TICK_DT, quat, gyro, acc)
        return RobotState(
            seq=self._tick,
            time=self._tick * TICK_DT,
            joint_pos=self._qpos[7:].copy(),
            joint_vel=self._qvel[6:].copy(),
            joint_torque=self._torque.copy(),
            pelvis_quat_w=quat,
            pelvis_gyro_b=gyro,
            pelvis_acc_b=acc,
            pelvis_pos_w=self._qpos[:3].copy() if has_base else None,
            pelvis_lin_vel_b=np.asarray(quat_rotate_inverse(true_quat, self._qvel[:3]), dtype=np.float64)
            if has_base
            else None,
        )

    def _apply(self, command: LowCommand) -> None:
        gain = self.config.gain_scale
        self._bias[:, 1] = -gain * command.kp
        self._bias[:, 2] = -gain * command.kd
        self._ctrl[:] = command.tau + gain * (command.kp * command.q + command.kd * command.dq)

    def _limit_speed(self) -> None:
        """Torque in the direction of motion falls from full at _KNEE of the no-load speed to none at it."""
        speed, effort = self._qvel[6:], self.config.strength_scale * G1.effort
        share = np.clip((1.0 - np.abs(speed) / G1.velocity) / (1.0 - _KNEE), 0.0, 1.0)
        self._force_range[:, 0] = np.where(speed < 0.0, -effort * share, -effort)
        self._force_range[:, 1] = np.where(speed > 0.0, effort * share, effort)

    def _sole_height(self) -> float:
        """Lowest point of the feet's collision shapes above the floor, m; needs fresh kinematics."""
        model, data = self.model, self._connected()
        heights = []
        for geom in np.flatnonzero(np.isin(model.geom_bodyid, list(self._feet)) & (model.geom_contype > 0)):
            radius, half = model.geom_size[geom, :2]
            heights.append(data.geom_xpos[geom, 2] - radius - half * abs(data.geom_xmat[geom, 8]))
        return float(min(heights))
