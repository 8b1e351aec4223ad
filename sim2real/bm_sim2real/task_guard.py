"""The task guard: is the robot still doing what the reference asks? Runs in the policy process, once per control step.

Relative to the reference, because a fixed tilt limit would have to be switched off for the very motions that matter.
Limits are the trainer's terminations: what training cut short, the policy has never learned to recover from.
"""

from __future__ import annotations

import math

from bm_core import rotations_single as single
from bm_core.body_from_pelvis import BodyFromPelvis
from bm_core.g1 import ANCHOR_BODY, END_EFFECTORS, G1
from bm_core.reference import ReferenceFrame
from bm_core.state import RobotState
from bm_sim2real.faults import Fault, Reaction
from bm_sim2real.guard_limits import GuardLimits

_UP = (0.0, 0.0, 1.0)


class TaskGuard:
    """Watches one robot. Stateless but for the tilt count; `reset` on every change of mode."""

    def __init__(
        self, limits: GuardLimits | None = None, *, has_height: bool = False, is_estimated: bool = False
    ) -> None:
        """`has_height`: RobotState.pelvis_pos_w is there. `is_estimated`: it may go missing with the estimate's health;
        such readings are judged without."""
        self.limits = limits or GuardLimits()
        self._has_height = has_height
        self._is_estimated = is_estimated
        self._anchor = BodyFromPelvis(ANCHOR_BODY)
        self._end_effectors = [(name, G1.body_index[name], BodyFromPelvis(name)) for name in END_EFFECTORS]
        self._tilted_periods = 0
        self._ee_periods = 0

    def reset(self) -> None:
        """Forget for how long something has been wrong."""
        self._tilted_periods = self._ee_periods = 0

    def check(self, state: RobotState, frame: ReferenceFrame | None, step: int) -> Fault | None:
        """The fault of this reading, if any. `frame` is the target that the reading should have reached by now."""
        up_b = single.rotate_inverse(state.pelvis_quat_w.tolist(), _UP)
        if frame is None:
            return self._tilt(up_b[2], step)
        anchor_pos_b, anchor_quat_b = self._anchor.relative(state.joint_pos)
        fault = self._anchor_ori(single.rotate_inverse(anchor_quat_b, up_b)[2], frame, step)
        if fault is not None:
            return fault
        # Heights above the pelvis are joint angles and IMU alone; the pelvis's own height needs an estimate.
        anchor_height = _dot(up_b, anchor_pos_b)
        has_height = self._has_height and not (self._is_estimated and state.pelvis_pos_w is None)
        origin = _pelvis_height(state) if has_height else float(frame.anchor_pos_w[2]) - anchor_height
        anchor_error = origin + anchor_height - float(frame.anchor_pos_w[2])
        if not abs(anchor_error) <= self.limits.anchor_pos:
            return _lost(
                step, f"anchor_pos: torso {anchor_error:+.2f} m off in height (limit {self.limits.anchor_pos})"
            )
        periods = 1 if has_height else self.limits.ee_periods
        return self._ee_body_pos(up_b, origin, state, frame, step, periods)

    def _anchor_ori(self, up_z: float, frame: ReferenceFrame, step: int) -> Fault | None:
        error = abs(up_z - single.rotate_inverse(frame.anchor_quat_w.tolist(), _UP)[2])
        if error <= self.limits.anchor_ori:
            return None
        return _lost(step, f"anchor_ori: gravity {error:.2f} off in the torso (limit {self.limits.anchor_ori})")

    def _ee_body_pos(
        self, up_b: single.Vector, origin: float, state: RobotState, frame: ReferenceFrame, step: int, periods: int
    ) -> Fault | None:
        errors = [
            (origin + body.along(up_b, state.joint_pos) - float(frame.body_pos_w[index, 2]), name)
            for name, index, body in self._end_effectors
        ]
        limit = self.limits.ee_body_pos
        lost = [(error, name) for error, name in errors if not abs(error) <= limit]
        self._ee_periods = self._ee_periods + 1 if lost else 0
        if self._ee_periods < periods:
            return None
        error, name = lost[0]
        return _lost(step, f"ee_body_pos: {name} {error:+.2f} m off in height (limit {limit})")

    def _tilt(self, up_z: float, step: int) -> Fault | None:
        tilt = math.acos(min(1.0, max(-1.0, up_z)))
        # max() of Python keeps its first argument against NaN, so a NaN quaternion reads as upside down here.
        self._tilted_periods = 0 if tilt <= self.limits.tilt else self._tilted_periods + 1
        if self._tilted_periods < self.limits.tilt_periods:
            return None
        detail = f"pelvis tilted {tilt:.2f} rad for {self._tilted_periods} periods (limit {self.limits.tilt})"
        return Fault("tilted", Reaction.DAMPING, step, detail, source="task_guard")


def _lost(step: int, detail: str) -> Fault:
    return Fault("tracking_lost", Reaction.DAMPING, step, detail, source="task_guard")


def _dot(a: single.Vector, b: single.Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _pelvis_height(state: RobotState) -> float:
    # NaN if the promised estimate is missing: every limit is written so that NaN trips it.
    return float("nan") if state.pelvis_pos_w is None else float(state.pelvis_pos_w[2])
