"""The observation vector of a tracker from the robot's state and its reference: one definition for robot and tests.

Notation: (p_t, R_t) is the pose of the robot's anchor body (torso_link, by FK from the pelvis), (p_r, R_r) that of the
reference at frame k; X^T turns a world vector into the frame of X. Torch twins in training agree with this to 1e-4.

| term | numbers | formula |
|---|---|---|
| command | 58 | joint_pos_r(k), joint_vel_r(k) |
| motion_anchor_pos_b | 3 | R_t^T (p_r - p_t) |
| motion_anchor_ori_b | 6 | first two columns of R_t^T R_r, row-major (r00, r01, r10, r11, r20, r21) |
| base_lin_vel | 3 | velocity of the pelvis link origin, pelvis frame |
| base_ang_vel | 3 | angular velocity of the pelvis, pelvis frame |
| joint_pos | 29 | joint_pos - default_joint_pos |
| joint_vel | 29 | joint_vel |
| actions | 29 | the last action as the network gave it |
| base_lin_vel_com | 3 | the same of the pelvis' centre of mass (Isaac Lab's root velocity): v + w x c |
| base_lin_vel_imu | 3 | the same of the pelvis IMU's site (mjlab's velocimeter): v + w x c |
| projected_gravity | 3 | unit vector of gravity in the pelvis frame: (0, 0, -1) when upright |
| motion_id[CLIP] | 1 each | 1 while the reference is the clip of that name, else 0 |
| reference_window | 39 each | per offset d: joint_pos_r(k+d) - default, R_t^T R_r(k+d) as 6, height, velocity (below) |

reference_window, offsets in order, each: joint_pos_r(k+d) - default_joint_pos (29); motion_anchor_ori_b with frame k+d
(6); p_r(k+d).z, m (1); Y^T v_r(k+d), the velocity of the reference's anchor in its own yaw frame Y (3).
Joints are in the policy's order. k + d is clamped to the last frame. Each term is multiplied by its scale, then enters
its history (oldest first, flattened within the term as Isaac Lab does; the first step fills it).
Source: whole_body_tracking's observation terms; reference_window is ours; the last three are of
policies from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bm_core import rotations_single as single
from bm_core.body_from_pelvis import BodyFromPelvis
from bm_core.contract import Contract
from bm_core.errors import BundleError, RobotError
from bm_core.g1 import G1, PELVIS_COM, PELVIS_IMU
from bm_core.observation_terms import TERMS_NEEDING_STATE, WINDOW_TERM, ObservationTerm, motion_of_term, term_dim
from bm_core.reference import Reference, ReferenceFrame, motion_name
from bm_core.state import RobotState

ESTIMATED_FIELDS = ("pelvis_pos_w", "pelvis_lin_vel_b")
"""The fields of RobotState that only an estimator (or a simulator) supplies."""


@dataclass
class _Tick:
    """What the terms of one control step share; joint arrays in canonical order."""

    state: RobotState
    frame: ReferenceFrame
    anchor_pos_b: single.Vector
    """Robot's anchor in the pelvis frame, m."""
    anchor_quat_w: single.Quat
    last_action: NDArray[np.floating]
    reference: Reference
    k: int


_Writer = Callable[[_Tick, NDArray[np.float32]], None]


class ObservationBuilder:
    """Builds the observations of one policy on one robot. Keeps the histories: `reset` when the policy starts."""

    def __init__(self, contract: Contract, *, supplied: Collection[str] = ESTIMATED_FIELDS) -> None:
        """`supplied`: which of ESTIMATED_FIELDS the robot's states hold. BundleError if the policy needs another."""
        for term in contract.observations:
            field = TERMS_NEEDING_STATE.get(term.name)
            if field is not None and field not in supplied:
                raise BundleError(
                    f"observation term '{term.name}' needs {field}, which this robot does not supply; "
                    "run a state estimator or a policy without state estimation"
                )
        order = np.array([G1.joint_index[name] for name in contract.action.joint_names])
        # None: the policy's order is the robot's, so nothing has to be gathered.
        self._order = None if np.array_equal(order, np.arange(len(order))) else order
        self._default = np.array(contract.action.default_joint_pos)
        self._anchor = G1.body_index[contract.anchor_body]
        self._robot_anchor = BodyFromPelvis(contract.anchor_body)
        self._vector = np.zeros(contract.observation_dim, dtype=np.float32)
        self._rows = self._bind(contract.observations)
        self._fresh = True

    def reset(self) -> None:
        """Forget the histories: the next observation fills them."""
        self._fresh = True

    def compute(
        self, state: RobotState, reference: Reference, k: int, last_action: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """The observation before the control step whose target is frame k: (N,) float32, the caller's to keep.

        `last_action` (29,) in the policy's order, zeros at the start. Raises RobotError if the state lacks a field that
        the robot promised.
        """
        pelvis = state.pelvis_quat_w.tolist()
        anchor_pos_b, anchor_quat_b = self._robot_anchor.relative(state.joint_pos)
        tick = _Tick(
            state=state,
            frame=reference.frame(k),
            anchor_pos_b=anchor_pos_b,
            anchor_quat_w=single.multiply(pelvis, anchor_quat_b),
            last_action=last_action,
            reference=reference,
            k=k,
        )
        for write, rows, scale in self._rows:
            history = len(rows)
            if history > 1:
                rows[:-1] = rows[1:]
            newest = rows[-1]
            write(tick, newest)
            if scale != 1.0:
                newest *= scale
            if history > 1 and self._fresh:
                rows[:-1] = newest
        self._fresh = False
        return self._vector.copy()

    def _bind(self, terms: tuple[ObservationTerm, ...]) -> list[tuple[_Writer, NDArray[np.float32], float]]:
        """Each term's writer, its (history, dim) view of the vector, its scale."""
        writers: dict[str, _Writer] = {
            "command": self._command,
            "motion_anchor_pos_b": self._motion_anchor_pos_b,
            "motion_anchor_ori_b": self._motion_anchor_ori_b,
            "base_lin_vel": _base_lin_vel,
            "base_lin_vel_com": partial(_point_lin_vel, PELVIS_COM),
            "base_lin_vel_imu": partial(_point_lin_vel, PELVIS_IMU),
            "projected_gravity": _projected_gravity,
            "base_ang_vel": _base_ang_vel,
            "joint_pos": self._joint_pos,
            "joint_vel": self._joint_vel,
            "actions": _actions,
        }
        bound = []
        offset = 0
        for term in terms:
            if term.dim != term_dim(term.name, term.steps):
                raise BundleError(
                    f"observation term '{term.name}': {term.dim} numbers, {term_dim(term.name, term.steps)} expected"
                )
            motion = motion_of_term(term.name)
            if motion is not None:
                write = partial(_motion_id, motion)
            else:
                write = self._window(term.steps) if term.name == WINDOW_TERM else writers[term.name]
            bound.append((write, self._vector[offset : offset + term.size].reshape(term.history, term.dim), term.scale))
            offset += term.size
        return bound

    def _ordered(self, canonical: NDArray[np.float64]) -> NDArray[np.float64]:
        return canonical if self._order is None else canonical[self._order]

    def _command(self, tick: _Tick, out: NDArray[np.float32]) -> None:
        joints = len(self._default)
        out[:joints] = self._ordered(tick.frame.joint_pos)
        out[joints:] = self._ordered(tick.frame.joint_vel)

    def _motion_anchor_pos_b(self, tick: _Tick, out: NDArray[np.float32]) -> None:
        pelvis = tick.state.pelvis_pos_w
        if pelvis is None:
            raise RobotError("robot state without pelvis_pos_w, which observation term 'motion_anchor_pos_b' needs")
        # The anchor is seen from the pelvis; its world position adds the pelvis' own.
        arm = single.rotate(tick.state.pelvis_quat_w.tolist(), tick.anchor_pos_b)
        target = tick.frame.body_pos_w[self._anchor].tolist()
        offset = [target[i] - float(pelvis[i]) - arm[i] for i in range(3)]
        out[:] = single.rotate_inverse(tick.anchor_quat_w, offset)

    def _motion_anchor_ori_b(self, tick: _Tick, out: NDArray[np.float32]) -> None:
        out[:] = self._relative_rot6d(tick, tick.frame)

    def _relative_rot6d(self, tick: _Tick, frame: ReferenceFrame) -> single.Vector:
        target = frame.body_quat_w[self._anchor].tolist()
        return single.rot6d(single.multiply(single.conjugate(tick.anchor_quat_w), target))

    def _joint_pos(self, tick: _Tick, out: NDArray[np.float32]) -> None:
        out[:] = self._ordered(tick.state.joint_pos) - self._default

    def _joint_vel(self, tick: _Tick, out: NDArray[np.float32]) -> None:
        out[:] = self._ordered(tick.state.joint_vel)

    def _window(self, steps: tuple[int, ...]) -> _Writer:
        joints = len(self._default)
        step_dim = term_dim(WINDOW_TERM, (0,))

        def write(tick: _Tick, out: NDArray[np.float32]) -> None:
            for step, part in zip(steps, out.reshape(-1, step_dim), strict=True):
                frame = tick.reference.frame(tick.k + step)
                part[:joints] = self._ordered(frame.joint_pos) - self._default
                part[joints : joints + 6] = self._relative_rot6d(tick, frame)
                part[joints + 6] = frame.body_pos_w[self._anchor, 2]
                heading = single.yaw(frame.body_quat_w[self._anchor].tolist())
                velocity = frame.body_lin_vel_w[self._anchor].tolist()
                part[joints + 7 :] = single.rotate(single.from_axis_angle((0.0, 0.0, 1.0), -heading), velocity)

        return write


def _base_lin_vel(tick: _Tick, out: NDArray[np.float32]) -> None:
    out[:] = _pelvis_lin_vel(tick)


def _point_lin_vel(point: single.Vector, tick: _Tick, out: NDArray[np.float32]) -> None:
    """Velocity of a point of the pelvis, `point` in its frame, m."""
    spin, (x, y, z) = tick.state.pelvis_gyro_b.tolist(), point
    out[:] = _pelvis_lin_vel(tick)
    out += (spin[1] * z - spin[2] * y, spin[2] * x - spin[0] * z, spin[0] * y - spin[1] * x)


def _pelvis_lin_vel(tick: _Tick) -> NDArray[np.float64]:
    if tick.state.pelvis_lin_vel_b is None:
        raise RobotError("robot state without pelvis_lin_vel_b, which observation term 'base_lin_vel' needs")
    return tick.state.pelvis_lin_vel_b


def _projected_gravity(tick: _Tick, out: NDArray[np.float32]) -> None:
    out[:] = single.rotate_inverse(tick.state.pelvis_quat_w.tolist(), (0.0, 0.0, -1.0))


def _motion_id(motion: str, tick: _Tick, out: NDArray[np.float32]) -> None:
    out[0] = motion_name(tick.reference) == motion


def _base_ang_vel(tick: _Tick, out: NDArray[np.float32]) -> None:
    out[:] = tick.state.pelvis_gyro_b


def _actions(tick: _Tick, out: NDArray[np.float32]) -> None:
    out[:] = tick.last_action
