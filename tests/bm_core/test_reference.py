"""Alignment and re-anchoring of references against numbers worked out by hand."""

import numpy as np
import pytest

from bm_core.errors import ClipError
from bm_core.motion import MotionClip
from bm_core.reference import MotionReference, ReferenceFrame, retarget_bodies
from bm_core.rotations import matrix_from_quat, quat_from_euler_xyz

HALF = np.sqrt(0.5)
YAW_90 = np.array([HALF, 0.0, 0.0, HALF])
TORSO, HEAD_BODY = 15, 20


def bodies(values, width):
    """(T, 30, width): the same row for every body, or the given one for some."""
    rows = np.zeros((len(values), 30, width))
    for row, value in zip(rows, values, strict=True):
        row[:] = value
    return rows


def clip_of(pos, quat, lin_vel=None) -> MotionClip:
    """A clip whose torso has the given poses and whose other bodies lie 1 m ahead (world x) of it."""
    frames = len(pos)
    body_pos = bodies(pos, 3) + np.array([1.0, 0.0, 0.0])
    body_pos[:, TORSO] = pos
    return MotionClip(
        name="made",
        joint_pos=np.arange(frames)[:, None] * np.ones(29),
        joint_vel=np.zeros((frames, 29)),
        body_pos_w=body_pos,
        body_quat_w=bodies(quat, 4),
        body_lin_vel_w=bodies(lin_vel if lin_vel is not None else np.zeros((frames, 3)), 3),
        body_ang_vel_w=bodies(np.tile([1.0, 0.0, 0.0], (frames, 1)), 3),
        meta={},
    )


IDENTITY = [1.0, 0.0, 0.0, 0.0]


def test_align_moves_the_frame_over_the_robot_and_turns_it_its_way():
    clip = clip_of([[0.0, 0.0, 1.0], [2.0, 0.0, 1.1]], [IDENTITY, IDENTITY], [[1.0, 0.0, 0.5], [1.0, 0.0, 0.5]])
    reference = MotionReference(clip)
    reference.align(np.array([10.0, 20.0, 0.3]), YAW_90, frame=0)
    start, end = reference.frame(0), reference.frame(1)
    np.testing.assert_allclose(start.anchor_pos_w, [10.0, 20.0, 1.0], atol=1e-12)  # the floor stays: z is the clip's
    np.testing.assert_allclose(start.anchor_quat_w, YAW_90, atol=1e-12)
    # Two metres ahead in the clip are two metres along world y now.
    np.testing.assert_allclose(end.anchor_pos_w, [10.0, 22.0, 1.1], atol=1e-12)
    np.testing.assert_allclose(end.body_pos_w[HEAD_BODY], [10.0, 23.0, 1.1], atol=1e-12)
    np.testing.assert_allclose(end.body_lin_vel_w[HEAD_BODY], [0.0, 1.0, 0.5], atol=1e-12)
    np.testing.assert_allclose(end.body_ang_vel_w[HEAD_BODY], [0.0, 1.0, 0.0], atol=1e-12)


def test_align_starts_again_from_the_clip():
    reference = MotionReference(clip_of([[0.0, 0.0, 1.0]] * 2, [IDENTITY] * 2))
    for _ in range(3):
        reference.align(np.array([10.0, 20.0, 0.3]), YAW_90, frame=0)
    np.testing.assert_allclose(reference.frame(0).body_pos_w[HEAD_BODY], [10.0, 21.0, 1.0], atol=1e-12)


def test_frames_outside_the_clip_are_its_ends():
    reference = MotionReference(clip_of([[0.0, 0.0, 1.0], [2.0, 0.0, 1.0]], [IDENTITY, IDENTITY]))
    assert [reference.frame(k).joint_pos[0] for k in (-5, 0, 1, 99)] == [0.0, 0.0, 1.0, 1.0]
    assert reference.num_frames == 2


def test_frames_that_were_asked_for_before_follow_a_new_alignment():
    reference = MotionReference(clip_of([[0.0, 0.0, 0.8], [1.0, 0.0, 0.8]], [[1.0, 0.0, 0.0, 0.0]] * 2))
    before = reference.frame(1)
    assert reference.frame(1) is before  # computed once
    reference.align(np.array([0.0, 3.0, 0.8]), np.array([1.0, 0.0, 0.0, 0.0]), 0)
    np.testing.assert_allclose(reference.frame(1).body_pos_w[TORSO], [1.0, 3.0, 0.8])


def test_a_long_clip_gives_every_frame_forwards_and_backwards():
    pos = [[0.01 * k, 0.0, 0.8] for k in range(200)]
    reference = MotionReference(clip_of(pos, [[1.0, 0.0, 0.0, 0.0]] * 200))
    for k in [*range(200), *range(199, -1, -1)]:
        assert reference.frame(k).joint_pos[0] == k
        assert reference.frame(k).body_pos_w[TORSO, 0] == pytest.approx(0.01 * k)


def test_an_aligned_frame_needs_no_retargeting():
    rng = np.random.default_rng(1)
    quat = quat_from_euler_xyz(0.3, 1.2, -2.0)
    reference = MotionReference(clip_of([[0.4, -0.2, 0.9]] * 2, [quat] * 2))
    robot_pos, robot_quat = rng.normal(size=3), quat_from_euler_xyz(-0.4, 1.1, 2.5)
    reference.align(robot_pos, robot_quat, frame=0)
    frame = reference.frame(0)
    pos, rotation = retarget_bodies(frame, robot_pos, robot_quat)
    np.testing.assert_allclose(pos, frame.body_pos_w, atol=1e-12)
    np.testing.assert_allclose(matrix_from_quat(rotation), matrix_from_quat(frame.body_quat_w), atol=1e-12)


def test_retargeting_forgives_drift_in_the_plane_but_not_in_height():
    pos, quat = np.tile([1.0, 0.0, 0.5], (30, 1)), np.tile(IDENTITY, (30, 1))
    pos[TORSO] = [0.0, 0.0, 1.0]
    frame = ReferenceFrame(np.zeros(29), np.zeros(29), pos, quat, np.zeros((30, 3)), np.zeros((30, 3)))
    target_pos, target_quat = retarget_bodies(frame, np.array([2.0, 3.0, 9.0]), YAW_90)
    # p_D = (2, 3, 1); the body 1 m ahead and 0.5 m below the anchor turns with the robot to world y.
    np.testing.assert_allclose(target_pos[HEAD_BODY], [2.0, 4.0, 0.5], atol=1e-12)
    np.testing.assert_allclose(target_quat[HEAD_BODY], YAW_90, atol=1e-12)


def test_retargeting_ignores_the_robots_roll_and_pitch():
    pos, quat = np.tile([1.0, 0.0, 0.5], (30, 1)), np.tile(IDENTITY, (30, 1))
    frame = ReferenceFrame(np.zeros(29), np.zeros(29), pos, quat, np.zeros((30, 3)), np.zeros((30, 3)))
    _, target = retarget_bodies(frame, np.zeros(3), quat_from_euler_xyz(0.0, 0.4, 0.0))
    np.testing.assert_allclose(target[HEAD_BODY], IDENTITY, atol=1e-12)


def test_a_clip_in_another_joint_order_is_refused():
    clip = clip_of([[0.0, 0.0, 1.0]] * 2, [IDENTITY] * 2)
    object.__setattr__(clip, "joint_names", clip.joint_names[::-1])
    with pytest.raises(ClipError, match="made: joints or bodies"):
        MotionReference(clip)
