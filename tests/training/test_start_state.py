"""Standing episodes that start out of a walk: which frames qualify, how often, and where the robot is put."""

import numpy as np
import pytest
import torch

from bm_core.errors import ConfigError
from bm_core.g1 import G1, TARGET_BODIES
from bm_core.motion import MotionClip, clip_from_qpos
from bm_core.rotations import quat_from_euler_xyz, quat_multiply, quat_rotate, quat_rotate_inverse, yaw_from_quat
from bm_training.sampling import StartStateConfig, StartStateSampler, start_state
from bm_training.tracking.motion_library import MotionLibrary

STAND, WALK, KICK = 0, 1, 2
FRAMES = 40
FOOT, WRIST, TORSO, PELVIS = (
    G1.body_names.index(name) for name in ("left_ankle_roll_link", "left_wrist_yaw_link", "torso_link", "pelvis")
)


def posed(name, *, speed=0.0, lifted=(), yaw=0.0, xy=(0.0, 0.0)):
    """A default pose that slides along x at `speed`; `lifted` (body, frame, m) raises one body in one frame."""
    root_pos = np.tile([*xy, 0.76], (FRAMES, 1))
    root_pos[:, 0] += speed * 0.02 * np.arange(FRAMES)
    root_quat = np.tile(quat_from_euler_xyz(0.0, 0.1, yaw), (FRAMES, 1))
    clip = clip_from_qpos(name, root_pos, root_quat, np.tile(G1.default_joint_pos, (FRAMES, 1)), 50.0)
    pos = clip.body_pos_w.copy()
    for body, frame, height in lifted:
        pos[frame, body, 2] += height
    return MotionClip(**{**vars(clip), "body_pos_w": pos})


def sampler_of(clips, seed=0, **config):
    library = MotionLibrary(clips)
    number = torch.arange(len(clips))
    generator = torch.Generator().manual_seed(seed)
    return StartStateSampler(StartStateConfig(**config), library, number == STAND, number == WALK, generator)


CLIPS = [posed("stand"), posed("walk", speed=1.0), posed("kick")]


def test_thirty_percent_of_standing_episodes_start_in_a_walk_and_no_other_does():
    motion = torch.arange(3).repeat_interleave(20_000)
    frame = torch.arange(60_000) % FRAMES
    state_motion, state_frame = sampler_of(CLIPS).draw(motion, frame)
    replaced = state_motion != motion
    # Standard error sqrt(0.3 * 0.7 / 20000) = 0.003.
    assert replaced[motion == STAND].double().mean().item() == pytest.approx(0.3, abs=0.015)
    assert not replaced[motion != STAND].any()
    assert (state_motion[replaced] == WALK).all()
    assert torch.equal(state_frame[~replaced], frame[~replaced])
    assert state_frame[replaced].unique().tolist() == list(range(FRAMES))


def test_frames_that_a_termination_would_stop_at_once_do_not_qualify():
    # Limits 0.2 m and 1.5 m/s: frames 3 and 7 are out, frame 9 is in.
    lifted = [(FOOT, 3, 0.21), (WRIST, 7, -0.21), (FOOT, 9, 0.19)]
    sampler = sampler_of([posed("stand"), posed("walk", lifted=lifted)], probability=1.0)
    assert sampler.num_states == FRAMES - 2
    _, frame = sampler.draw(torch.zeros(5000, dtype=torch.int64), torch.zeros(5000, dtype=torch.int64))
    assert set(range(FRAMES)) - set(frame.tolist()) == {3, 7}


def test_a_run_is_no_state_to_stand_from():
    with pytest.raises(ConfigError, match="no locomotion frame is close enough"):
        sampler_of([posed("stand"), posed("run", speed=1.6)])


def test_without_standing_or_locomotion_motions_nothing_is_replaced():
    library = MotionLibrary(CLIPS)
    nothing, walk = torch.zeros(3, dtype=torch.bool), torch.tensor([False, True, False])
    for stand, locomotion in [(nothing, walk), (walk, nothing)]:
        sampler = StartStateSampler(StartStateConfig(), library, stand, locomotion, torch.Generator())
        motion, frame = torch.arange(3), torch.arange(3)
        assert [t.tolist() for t in sampler.draw(motion, frame)] == [[0, 1, 2], [0, 1, 2]]


def test_the_same_seed_draws_the_same_states():
    motion, frame = torch.zeros(100, dtype=torch.int64), torch.zeros(100, dtype=torch.int64)
    first, again, other = (sampler_of(CLIPS, seed=seed).draw(motion, frame)[1] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.fixture(scope="module")
def moved():
    """A stand at (5, -2) with yaw 2.5 that starts in frame 10 of a walk with yaw -1."""
    clips = [posed("stand", yaw=2.5, xy=(5.0, -2.0)), posed("walk", speed=1.0, yaw=-1.0)]
    library = MotionLibrary(clips)
    one = torch.tensor([1])
    return clips, start_state(library, one - 1, one * 4, one, one * 10)


def test_state_has_the_torso_xy_and_yaw_of_the_reference(moved):
    (stand, walk), state = moved
    root_pos, root_quat = state.root_pos_w[0].double().numpy(), state.root_quat_w[0].double().numpy()
    # The torso follows the moved pelvis as it did in the walk.
    to_torso = quat_rotate_inverse(
        walk.body_quat_w[10, PELVIS], walk.body_pos_w[10, TORSO] - walk.body_pos_w[10, PELVIS]
    )
    torso = root_pos + quat_rotate(root_quat, to_torso)
    np.testing.assert_allclose(torso[:2], stand.body_pos_w[4, TORSO, :2], atol=1e-5)
    assert yaw_from_quat(root_quat) == pytest.approx(2.5, abs=1e-5)


def test_state_keeps_height_tilt_joints_and_speed_of_the_walk(moved):
    (_, walk), state = moved
    assert state.root_pos_w[0, 2].item() == pytest.approx(0.76, abs=1e-6)
    expected = quat_multiply(quat_from_euler_xyz(0.0, 0.0, 3.5), walk.body_quat_w[10, PELVIS])
    assert abs(state.root_quat_w[0].double().numpy() @ expected) == pytest.approx(1.0, abs=1e-6)
    # 1 m/s along x, turned by 3.5 rad
    assert state.root_lin_vel_w[0].tolist() == pytest.approx([np.cos(3.5), np.sin(3.5), 0.0], abs=1e-5)
    np.testing.assert_allclose(state.joint_pos[0].numpy(), G1.default_joint_pos, atol=1e-6)


def test_state_of_the_reference_itself_is_the_reference():
    library = MotionLibrary(CLIPS)
    motion, frame = torch.tensor([0, 1, 2]), torch.tensor([3, 17, 39])
    state, reference = start_state(library, motion, frame, motion, frame), library.gather(motion, frame)
    pelvis = TARGET_BODIES.index("pelvis")
    torch.testing.assert_close(state.root_pos_w, reference.body_pos_w[:, pelvis])
    torch.testing.assert_close(state.root_quat_w, reference.body_quat_w[:, pelvis])
    torch.testing.assert_close(state.root_lin_vel_w, reference.body_lin_vel_w[:, pelvis])
    torch.testing.assert_close(state.joint_vel, reference.joint_vel)
