"""Listens while a clip is evaluated and keeps what the report draws. Changes nothing about the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import CONTROL_DT, FEET, G1, TARGET_BODY_INDICES
from bm_core.motion import MotionClip
from bm_core.reference import MotionReference, ReferenceFrame, retarget_bodies
from bm_core.rotations import quat_rotate
from bm_core.state import RobotState
from bm_sim2real.evaluation import Sample
from bm_sim2real.policies.tracker import PolicyOutput, TrackerPolicy
from bm_sim2real.report_data import ClipTracks
from bm_sim2real.robots.ground_truth import GroundTruth
from bm_sim2real.robots.protocol import RobotFeatures
from bm_sim2real.video_clip import VideoJob

Array = NDArray[np.float64]

_TARGETS = np.array(TARGET_BODY_INDICES)
_FEET = np.array([G1.body_index[name] for name in FEET])
_SOLE_XY = ((0.13, 0.01), (0.13, -0.01), (0.1, 0.026), (0.1, -0.026), (-0.044, 0.018), (-0.044, -0.018))
SOLE = np.array([[x, y, -0.035] for x, y in _SOLE_XY])
"""m in the frame of ankle_roll_link: below the ends of the sole's outer capsules (bm_core/assets/g1.xml)."""
CONTACT_HEIGHT = 0.02
"""m; a sole whose lowest point is below counts as on the floor, for robot and reference alike."""


MIN_FILM_ROWS = 10
"""Control steps; less is no film."""


class WatchedTracker(TrackerPolicy):
    """The tracker itself; it also keeps the motor torques of every reading it is given."""

    torques: list[Array]

    @classmethod
    def load(cls, path: str | Path, provider: str = "cpu", features: RobotFeatures | None = None) -> WatchedTracker:
        policy = super().load(path, provider, features)
        assert isinstance(policy, cls)
        policy.start_watching()
        return policy

    def start_watching(self) -> None:
        """Forget what was kept."""
        self.torques = []

    def step(self, state: RobotState) -> PolicyOutput:
        self.torques.append(state.joint_torque)
        return super().step(state)


class ClipRecording:
    """Everything about one clip, filled by `on_sample`."""

    def __init__(self, clip: MotionClip, policy: WatchedTracker) -> None:
        self._clip, self._policy = clip, policy
        self._body_error: list[Array] = []
        self._joint_error: list[Array] = []
        self._heights: list[tuple[float, float]] = []
        self._contacts: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = []
        self._truths: list[GroundTruth] = []
        self._frames: list[int] = []
        policy.start_watching()

    def on_sample(self, sample: Sample) -> None:
        """For evaluate_clip: one control step."""
        truth, frame = sample.truth, sample.reference
        target, _ = retarget_bodies(frame, truth.anchor_pos_w, truth.anchor_quat_w)
        self._body_error.append(np.linalg.norm(truth.body_pos_w[_TARGETS] - target[_TARGETS], axis=-1))
        self._joint_error.append(np.abs(truth.joint_pos - frame.joint_pos))
        self._heights.append((float(truth.anchor_pos_w[2]), float(frame.anchor_pos_w[2])))
        self._contacts.append((_soles_down(truth), _soles_down(frame)))
        self._truths.append(truth)
        self._frames.append(sample.frame)

    @property
    def rows(self) -> int:
        """Control steps recorded."""
        return len(self._truths)

    def tracks(self, tick_ms: tuple[float, ...]) -> ClipTracks:
        """What was recorded, as arrays; empty ones if the clip was refused."""
        heights = np.array(self._heights).reshape(-1, 2)
        contacts = np.array(self._contacts, dtype=bool).reshape(-1, 2, 2)
        torque = np.abs(np.array(self._policy.torques).reshape(-1, len(G1.effort)))
        return ClipTracks(
            body_error=np.array(self._body_error).reshape(-1, len(_TARGETS)),
            anchor_height=heights[:, 0],
            anchor_height_reference=heights[:, 1],
            joint_error=np.array(self._joint_error).reshape(-1, len(G1.effort)),
            torque_share=torque / G1.effort,
            robot_contact=contacts[:, 0],
            reference_contact=contacts[:, 1],
            tick_ms=np.array(tick_ms),
        )

    def video_job(self, seconds: float, drawing_s: float, *, to_end: bool) -> VideoJob | None:
        """A film of at most `seconds`: the end (what went wrong), else the part with the largest error.

        The reference is moved onto the robot at the film's first picture: what drifts apart then is seen. None if the
        clip ended before there was anything to film.
        """
        rows = min(self.rows, round(seconds / CONTROL_DT))
        if rows < MIN_FILM_ROWS:
            return None
        first = self.rows - rows if to_end else hardest_window(np.mean(self._body_error, axis=1), rows)
        truths, frames = self._truths[first : first + rows], self._frames[first : first + rows]
        reference = MotionReference(self._clip)
        reference.align(truths[0].anchor_pos_w, truths[0].anchor_quat_w, frames[0])
        return VideoJob(
            name=self._clip.name,
            draw_s=drawing_s,
            start_s=first * CONTROL_DT,
            robot_qpos=np.array([_qpos(truth) for truth in truths]),
            reference_qpos=np.array([_qpos(reference.frame(k)) for k in frames]),
        )


def hardest_window(error: Array, rows: int) -> int:
    """First row of the `rows` rows with the largest mean error."""
    sums = np.concatenate([[0.0], np.cumsum(error)])
    return int(np.argmax(sums[rows:] - sums[:-rows]))


def _qpos(body: GroundTruth | ReferenceFrame) -> Array:
    return np.concatenate([body.body_pos_w[0], body.body_quat_w[0], body.joint_pos])


def _soles_down(body: GroundTruth | ReferenceFrame) -> NDArray[np.bool_]:
    """(2,) left, right: the sole's lowest point is near the floor."""
    points = quat_rotate(body.body_quat_w[_FEET][:, None], SOLE[None]) + body.body_pos_w[_FEET][:, None]
    return points[..., 2].min(axis=1) < CONTACT_HEIGHT
