"""The motion inside a graph that takes `time_step`: read out frame by frame, checked, and played like any other clip.

whole_body_tracking and mjlab return joints and the bodies they track, holosoma joints and the anchor. Which body is
where is proven by our kinematics, as for their motion files: another order or xyzw would show by centimetres.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bm_core.body_from_pelvis import BodyFromPelvis
from bm_core.bundle import Bundle
from bm_core.contract import Contract
from bm_core.errors import BundleError, ClipError, RobotError
from bm_core.g1 import G1, ROOT_BODY
from bm_core.kinematics import g1_kinematics
from bm_core.motion import CLIP_FPS, MotionClip, clip_from_qpos
from bm_core.nameless_npz import POSITION_TOLERANCE, ROTATION_TOLERANCE, worst_mismatch
from bm_core.reference import Reference
from bm_core.rotations import (
    quat_conjugate,
    quat_multiply,
    quat_normalize,
    quat_rotate,
    quat_wxyz_from_xyzw,
)
from bm_sim2real.policies.inference import OnnxSession

Frame = dict[str, NDArray[np.float32]]

_FAR = 1 << 23
"""A time step beyond every motion; float32 still counts in ones there."""
_LONGEST = 1 << 17
"""Frames, 44 minutes."""
_SAME_JOINT = 1e-4
"""rad between the motion in the graph and in the golden trace; both are float32."""


@dataclass(frozen=True, kw_only=True)
class EmbeddedMotion:
    """What a graph with `time_step` brings along."""

    clip: MotionClip
    drives_action: bool
    """The action depends on time_step, not only on the observation: no other motion can be followed."""

    def offset_of(self, reference: Reference) -> int:
        """The frame of this motion at which `reference` begins. RobotError if it is no part of it."""
        clip = getattr(reference, "clip", None)
        if clip is not None:
            starts = np.flatnonzero((self.clip.joint_pos == clip.joint_pos[0]).all(axis=1))
            for start in starts:
                if np.array_equal(self.clip.joint_pos[start : start + clip.num_frames], clip.joint_pos):
                    return int(start)
        raise RobotError(
            f"this policy's actions depend on its own motion {self.clip.name} and on nothing else; start on it "
            "(--start reference), or export the policy without an embedded motion"
        )


def embedded_motion_of(bundle: Bundle) -> EmbeddedMotion:
    """The motion of an `embedded` bundle, proven to be the one its golden trace was recorded on. BundleError if not."""
    motion = read_embedded_motion(bundle.path, bundle.contract)
    trace = bundle.trace
    if trace is None or trace.time_step is None:
        return motion
    frames = motion.clip.num_frames
    for tick, step in enumerate(trace.time_step):
        if not 0 <= step < frames:
            raise BundleError(
                f"{bundle.path}: golden trace, tick {tick}: time_step {step} is beyond the embedded motion of {frames} "
                "frames; the motion is another one than recorded, export the bundle again"
            )
        row = int(trace.first_frame[np.searchsorted(trace.first_tick, tick, side="right") - 1] + trace.frame[tick])
        apart = np.abs(motion.clip.joint_pos[step] - trace.reference_joint_pos[row])
        if apart.max() > _SAME_JOINT:
            joint = G1.joint_names[int(apart.argmax())]
            raise BundleError(
                f"{bundle.path}: golden trace, tick {tick}: {joint} of the embedded motion is {apart.max():.2g} rad "
                f"off the recorded one at time_step {step}; export the bundle again"
            )
    return motion


def read_embedded_motion(path: str | Path, contract: Contract) -> EmbeddedMotion:
    """The motion of an `embedded` graph. BundleError if it does not fit the robot or the names in the contract.

    Read on the CPU, whatever runs the policy: there an unclamped graph fails beyond its motion instead of reading on.
    """
    session = OnnxSession(path, "cpu")
    where = f"{path}: embedded motion"
    frames = _frames(session, where)
    arrays = {name: np.stack([frame[name] for frame in frames]).astype(np.float64) for name in frames[0]}
    clip = _clip(arrays, contract, Path(path).stem, where)
    return EmbeddedMotion(clip=clip, drives_action=_drives_action(session, contract, len(frames)))


def _frames(session: OnnxSession, where: str) -> list[Frame]:
    try:
        last = session.reference_outputs(_FAR)
    except BundleError:
        count = _unclamped_count(session, where)
        return [session.reference_outputs(step) for step in range(count)]
    end = 64
    while any(_differ(session.reference_outputs(step), last) for step in (end - 1, end, end + end // 3, 2 * end)):
        end *= 2
        if end > _LONGEST:
            raise BundleError(f"{where}: no end within {_LONGEST} frames")
    frames = [session.reference_outputs(step) for step in range(end)]
    moving = [step for step, frame in enumerate(frames) if _differ(frame, last)]
    return frames[: max(2, moving[-1] + 2 if moving else 2)]


def _unclamped_count(session: OnnxSession, where: str) -> int:
    """Frames before the first one that fails."""

    def fails(step: int) -> bool:
        try:
            session.reference_outputs(step)
        except BundleError:
            return True
        return False

    if fails(0):
        raise BundleError(f"{where}: the graph fails at time_step 0 already")
    good, bad = 0, _FAR
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if fails(middle) else (middle, bad)
    return bad


def _differ(first: Frame, second: Frame) -> bool:
    return any(not np.array_equal(first[name], second[name]) for name in first)


def _clip(arrays: dict[str, NDArray], contract: Contract, name: str, where: str) -> MotionClip:
    order = [contract.action.joint_names.index(joint) for joint in G1.joint_names]
    if arrays["joint_pos"].shape[1:] != (len(order),) or arrays["joint_vel"].shape[1:] != (len(order),):
        raise BundleError(f"{where}: joint_pos has {arrays['joint_pos'].shape[1:]} numbers, {len(order)} expected")
    joint_pos, joint_vel = arrays["joint_pos"][:, order], arrays["joint_vel"][:, order]
    bodies = _bodies(arrays, contract, where)
    root_pos, root_quat = bodies.get(ROOT_BODY) or _root_from(bodies[contract.anchor_body], contract, joint_pos)
    try:
        clip = clip_from_qpos(name, root_pos, root_quat, joint_pos, CLIP_FPS, made_by="embedded in a policy")
    except ClipError as error:
        raise BundleError(f"{where}: {error}") from error
    clip = _with_bodies(replace(clip, joint_vel=joint_vel), bodies)
    worst = worst_mismatch(clip.body_pos_w, clip.body_quat_w, *g1_kinematics().forward(root_pos, root_quat, joint_pos))
    if worst.severity > 1.0:
        raise BundleError(
            f"{where}: {worst} ({100 * POSITION_TOLERANCE:g} cm, {ROTATION_TOLERANCE:g} rad tolerated): body_names or "
            "joint_names in another order, quaternions not wxyz, or another robot; export it again"
        )
    return clip


def _bodies(arrays: dict[str, NDArray], contract: Contract, where: str) -> dict[str, tuple[NDArray, NDArray]]:
    """Positions (T, 3) m and orientations (T, 4) wxyz by name."""
    if "ref_quat_xyzw" in arrays:
        quat = quat_normalize(quat_wxyz_from_xyzw(arrays["ref_quat_xyzw"]))
        # Without a position only orientations are observed; the height is what the feet need, not ours to invent.
        if "ref_pos_xyz" not in arrays:
            raise BundleError(f"{where}: the graph returns ref_quat_xyzw without ref_pos_xyz; export it again")
        return {contract.anchor_body: (arrays["ref_pos_xyz"], quat)}
    pos, quat = arrays["body_pos_w"], arrays["body_quat_w"]
    names = contract.body_names
    if pos.shape[1:] != (len(names), 3) or quat.shape[1:] != (len(names), 4):
        raise BundleError(f"{where}: {pos.shape[1]} bodies, but body_names lists {len(names)}")
    if contract.anchor_body not in names:
        raise BundleError(f"{where}: the anchor '{contract.anchor_body}' is not one of body_names")
    return {name: (pos[:, i], quat_normalize(quat[:, i])) for i, name in enumerate(names)}


def _root_from(anchor: tuple[NDArray, NDArray], contract: Contract, joint_pos: NDArray) -> tuple[NDArray, NDArray]:
    """Pose of the pelvis from that of the anchor body."""
    pos, quat = anchor
    chain = BodyFromPelvis(contract.anchor_body)
    arms, turns = zip(*(chain.relative(row) for row in joint_pos), strict=True)
    root_quat = np.asarray(quat_multiply(quat, quat_conjugate(np.array(turns))), dtype=np.float64)
    return pos - np.asarray(quat_rotate(root_quat, np.array(arms))), root_quat


def _with_bodies(clip: MotionClip, bodies: dict[str, tuple[NDArray, NDArray]]) -> MotionClip:
    """Exactly the poses that the policy was trained on, where the graph has them."""
    body_pos, body_quat = clip.body_pos_w.copy(), clip.body_quat_w.copy()
    for name, (pos, quat) in bodies.items():
        body_pos[:, G1.body_index[name]], body_quat[:, G1.body_index[name]] = pos, quat
    return replace(clip, body_pos_w=body_pos, body_quat_w=body_quat)


def _drives_action(session: Callable, contract: Contract, num_frames: int) -> bool:
    zero = np.zeros(contract.observation_dim, dtype=np.float32)
    first = session(zero, 0)
    return any(not np.allclose(session(zero, step), first, atol=1e-6) for step in (1, num_frames // 2, num_frames - 1))
