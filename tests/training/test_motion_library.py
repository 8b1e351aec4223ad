"""The flat table gives back the frames of the clips that went in: values count motion, frame, body and axis."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bm_core.errors import ClipError, ConfigError
from bm_core.g1 import G1, TARGET_BODIES
from bm_core.motion import MotionClip
from bm_training.tracking.motion_library import MotionLibrary

LENGTHS = (5, 3, 70)


def counted(motion, frames, shape, offset):
    """motion * 1e4 + frame * 100 + offset + element / 1000: every number says where it is from."""
    frame = np.arange(frames, dtype=np.float64).reshape(-1, *([1] * len(shape)))
    return motion * 1e4 + frame * 100 + offset + np.arange(np.prod(shape)).reshape(shape) / 1000


def clip(motion, frames):
    return MotionClip(
        name=f"clip{motion}",
        joint_pos=counted(motion, frames, (29,), 1),
        joint_vel=counted(motion, frames, (29,), 2),
        body_pos_w=counted(motion, frames, (30, 3), 3),
        body_quat_w=counted(motion, frames, (30, 4), 4),
        body_lin_vel_w=counted(motion, frames, (30, 3), 5),
        body_ang_vel_w=counted(motion, frames, (30, 3), 6),
    )


CLIPS = [clip(motion, frames) for motion, frames in enumerate(LENGTHS)]
BODIES = [G1.body_names.index(name) for name in TARGET_BODIES]


@pytest.fixture(scope="module")
def library():
    return MotionLibrary(CLIPS, weights=[1.0, 2.0, 3.0])


def same(tensor, array):
    np.testing.assert_array_equal(tensor.numpy(), np.asarray(array, dtype=np.float32))


def test_gather_returns_the_frame_of_the_clip_asked_for(library):
    motion, frame = torch.tensor([2, 0, 1, 2]), torch.tensor([69, 4, 0, 13])
    frames = library.gather(motion, frame)
    for row, (m, t) in enumerate([(2, 69), (0, 4), (1, 0), (2, 13)]):
        same(frames.joint_pos[row], CLIPS[m].joint_pos[t])
        same(frames.joint_vel[row], CLIPS[m].joint_vel[t])
        same(frames.body_pos_w[row], CLIPS[m].body_pos_w[t, BODIES])
        same(frames.body_quat_w[row], CLIPS[m].body_quat_w[t, BODIES])
        same(frames.body_lin_vel_w[row], CLIPS[m].body_lin_vel_w[t, BODIES])
        same(frames.body_ang_vel_w[row], CLIPS[m].body_ang_vel_w[t, BODIES])


def test_frames_outside_a_clip_are_held_at_its_ends_and_never_reach_the_next_clip(library):
    frames = library.gather(torch.tensor([0, 1, 1]), torch.tensor([5, 999, -1]))
    same(frames.joint_pos[:, 0], [1 + 400, 1e4 + 1 + 200, 1e4 + 1])


def test_window_reads_future_frames_held_at_the_last_frame_of_the_clip(library):
    window = library.window(torch.tensor([2, 0]), torch.tensor([60, 1]), (4, 8, 16))
    torso = G1.body_names.index("torso_link")
    # 60 + 4, 8 and, beyond 69, 16; 1 + 4, 8, 16 of a clip that ends at 4
    for row, (m, ts) in enumerate([(2, [64, 68, 69]), (0, [4, 4, 4])]):
        same(window.joint_pos[row], CLIPS[m].joint_pos[ts])
        same(window.anchor_pos_w[row], CLIPS[m].body_pos_w[ts, torso])
        same(window.anchor_quat_w[row], CLIPS[m].body_quat_w[ts, torso])
        same(window.anchor_lin_vel_w[row], CLIPS[m].body_lin_vel_w[ts, torso])


def test_window_takes_its_steps_as_a_tensor_too(library):
    motion, frame = torch.tensor([2, 0]), torch.tensor([60, 1])
    steps = (4, 8, 16)
    same(
        library.window(motion, frame, torch.tensor(steps)).joint_pos,
        library.window(motion, frame, steps).joint_pos.numpy(),
    )


def test_a_clip_is_over_at_its_last_frame(library):
    assert library.is_over(torch.tensor([0, 0, 0, 1]), torch.tensor([3, 4, 5, 2])).tolist() == [
        False,
        True,
        True,
        True,
    ]


def test_flat_tensors_start_lengths_and_weights_line_up(library):
    assert library.motion_length.tolist() == [5, 3, 70]
    assert library.motion_start.tolist() == [0, 5, 8]
    assert library.motion_weight.tolist() == [1.0, 2.0, 3.0]
    assert library.num_frames == 78
    assert library.joint_pos.shape == (78, 29)
    assert library.body_quat_w.shape == (78, 14, 4)
    # first frame of each clip, first joint
    same(library.joint_pos[library.motion_start, 0], [1, 1e4 + 1, 2e4 + 1])


def test_chosen_bodies_come_in_the_chosen_order():
    library = MotionLibrary(CLIPS, body_names=("torso_link", "pelvis"))
    assert (library.anchor_index, library.root_index) == (0, 1)
    pelvis = library.gather(torch.tensor([0]), torch.tensor([0])).body_pos_w[0, 1]
    same(pelvis, CLIPS[0].body_pos_w[0, 0])


def test_gathered_frames_are_copies_that_may_be_written(library):
    motion, frame = torch.tensor([0]), torch.tensor([0])
    library.gather(motion, frame).joint_pos.zero_()
    same(library.gather(motion, frame).joint_pos[0], CLIPS[0].joint_pos[0])


def test_a_library_without_torso_or_pelvis_is_refused():
    with pytest.raises(ConfigError, match="torso_link"):
        MotionLibrary(CLIPS, body_names=("pelvis",))


def test_a_clip_that_lacks_a_body_is_refused_by_name():
    fields = ("body_pos_w", "body_quat_w", "body_lin_vel_w", "body_ang_vel_w")
    bodies = {field: getattr(CLIPS[0], field)[:, :-1] for field in fields}
    without = replace(CLIPS[0], body_names=G1.body_names[:-1], **bodies)
    with pytest.raises(ClipError, match="clip0: no body right_wrist_yaw_link"):
        MotionLibrary([without])


def test_an_empty_set_and_wrong_weights_are_refused():
    with pytest.raises(ConfigError, match="no clips"):
        MotionLibrary([])
    with pytest.raises(ConfigError, match="2 weights for 3 clips"):
        MotionLibrary(CLIPS, weights=[1.0, 1.0])
