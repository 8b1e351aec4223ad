"""Golden traces of a policy at work: played for a moment in MuJoCo, so that the recorded states are ones a robot has.

A few lines of lockstep simulation on purpose: the exporter must not lean on the runtime it is going to check.
"""

# MuJoCo is a compiled module without type stubs.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bm_core.body_from_pelvis import BodyFromPelvis
from bm_core.contract import Contract
from bm_core.g1 import ANCHOR_BODY, CONTROL_DT, G1, mjcf_path
from bm_core.golden_trace import GoldenTrace
from bm_core.motion import MotionClip
from bm_core.reference import MotionReference
from bm_core.rotations import quat_from_rotvec, quat_from_yaw, quat_multiply, quat_rotate, quat_rotate_inverse
from bm_core.state import RobotState
from bm_core.trace_recorder import Run, TraceRecorder

if TYPE_CHECKING:
    import mujoco

Array = NDArray[np.float64]

_TICK = 0.002
_DECIMATION = round(CONTROL_DT / _TICK)
_PLAY_TICKS = 25


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """How the trace is recorded."""

    ticks: int = 51
    """Control steps in all, shared among the clips."""
    position_noise: float = 0.03
    """Standard deviation of the robot's offset from the reference, m: the error terms shall not be zero."""
    rotation_noise: float = 0.08
    """rad, per axis"""
    joint_noise: float = 0.05
    """rad"""
    seed: int = 0


def record_rollout(
    contract: Contract, run: Run, clips: Sequence[MotionClip], config: RolloutConfig | None = None
) -> GoldenTrace:
    """Play `run` on each of the clips, from its middle and a little beside its reference."""
    config = config or RolloutConfig()
    rng = np.random.default_rng(config.seed)
    robot, torso = _Simulation(contract), BodyFromPelvis(ANCHOR_BODY)
    recorder = TraceRecorder(contract, run)
    for i, clip in enumerate(clips):
        ticks = config.ticks // len(clips)
        start = int(max(0, clip.num_frames - ticks) * _fraction(i, clips))
        robot.place(clip, start, config, rng)
        reference = MotionReference(clip)
        # The robot stands turned away from the clip by any yaw, and does not quite stand where its reference does.
        reference.align(*torso.world_pose(robot.state()), start)
        robot.shift(rng.normal(size=2) * config.position_noise)
        recorder.start(reference, start + contract.first_frame, ticks)
        for _ in range(ticks):
            robot.advance(recorder.step(robot.state()))
    return recorder.finish()


def rollout_observations(contract: Contract, run: Run, clips: Sequence[MotionClip], count: int) -> NDArray[np.float32]:
    """`count` observations as the policy meets them: half-second plays all over the clips, each from a random offset.

    Returns (count, O).
    """
    plays = -(-count // _PLAY_TICKS)
    spread = [clips[i * len(clips) // plays] for i in range(plays)]
    config = RolloutConfig(ticks=plays * _PLAY_TICKS, seed=1)
    return record_rollout(contract, run, spread, config).observation[:count]


def _fraction(index: int, clips: Sequence[MotionClip]) -> float:
    """Where a play begins between a clip's start and end: its middle, or spread evenly if the clip is played often."""
    same = [i for i, clip in enumerate(clips) if clip is clips[index]]
    return (same.index(index) + 1) / (len(same) + 1)


class _Simulation:
    """The G1 on a floor; PD law at 500 Hz, targets at 50 Hz."""

    def __init__(self, contract: Contract) -> None:
        import mujoco

        self._mujoco = mujoco
        spec = mujoco.MjSpec.from_file(str(mjcf_path()))
        spec.option.timestep = _TICK
        spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.05])
        self._model: mujoco.MjModel = spec.compile()
        self._data: mujoco.MjData = mujoco.MjData(self._model)
        names = contract.action.joint_names
        order = [names.index(name) for name in G1.joint_names]
        self._order = order
        self._scale, self._default, self._kp, self._kd = (
            np.array(values)[order]
            for values in (
                contract.action.scale,
                contract.action.default_joint_pos,
                contract.stiffness,
                contract.damping,
            )
        )

    def place(self, clip: MotionClip, frame: int, config: RolloutConfig, rng: np.random.Generator) -> None:
        """Near a frame of the clip, turned by any yaw."""
        self._mujoco.mj_resetData(self._model, self._data)
        turn = quat_from_yaw(rng.uniform(-np.pi, np.pi))
        tilt = quat_from_rotvec(rng.normal(size=3) * config.rotation_noise)
        quat = quat_multiply(quat_multiply(turn, clip.body_quat_w[frame, 0]), tilt)
        self._data.qpos[:3] = quat_rotate(turn, clip.body_pos_w[frame, 0])
        self._data.qpos[3:7] = quat
        self._data.qpos[7:] = clip.joint_pos[frame] + rng.normal(size=29) * config.joint_noise
        self._data.qvel[:3] = quat_rotate(turn, clip.body_lin_vel_w[frame, 0])
        self._data.qvel[3:6] = quat_rotate_inverse(quat, quat_rotate(turn, clip.body_ang_vel_w[frame, 0]))
        self._data.qvel[6:] = clip.joint_vel[frame]

    def shift(self, offset: Array) -> None:
        """Move the robot in the plane, (2,) m."""
        self._data.qpos[:2] += offset

    def state(self) -> RobotState:
        """What the sensors and a perfect estimator would say."""
        qpos, qvel = self._data.qpos.copy(), self._data.qvel.copy()
        quat = qpos[3:7] / np.linalg.norm(qpos[3:7])
        return RobotState(
            seq=0,
            time=self._data.time,
            joint_pos=qpos[7:],
            joint_vel=qvel[6:],
            joint_torque=np.zeros(len(G1.joint_names)),
            pelvis_quat_w=quat,
            pelvis_gyro_b=qvel[3:6],
            pelvis_acc_b=np.zeros(3),
            pelvis_pos_w=qpos[:3],
            pelvis_lin_vel_b=np.asarray(quat_rotate_inverse(quat, qvel[:3]), dtype=np.float64),
        )

    def advance(self, action: NDArray[np.float32]) -> None:
        """One control period under the PD law, torques limited."""
        target = self._default + self._scale * action[self._order]
        data = self._data
        for _ in range(_DECIMATION):
            torque = self._kp * (target - data.qpos[7:]) - self._kd * data.qvel[6:]
            data.qfrc_applied[6:] = np.clip(torque, -G1.effort, G1.effort)
            self._mujoco.mj_step(self._model, data)
