"""Velocities of a clip are those of its positions: all shipped clips by far, and no other unit, sign or order."""

import dataclasses

import numpy as np
import pytest

from bm_core.clip_validation import MOST_WRONG, contradiction
from bm_core.data import shipped
from bm_core.errors import ClipError
from bm_core.g1 import G1
from bm_core.motion import load_clip, save_clip

CLIPS = sorted(shipped("motions").glob("*.npz"))
MOVING = [path for path in CLIPS if path.stem != "stand"]
OTHER_SIDE = [
    G1.joint_names.index(
        {"left": name.replace("left", "right"), "righ": name.replace("right", "left")}.get(name[:4], name)
    )
    for name in G1.joint_names
]


def to_one_side(joint_pos):
    return np.diff(joint_pos, axis=0, append=joint_pos[-1:]) * 50.0


def smoothed(joint_vel):
    return np.stack([np.convolve(column, np.full(5, 0.2), "same") for column in joint_vel.T], axis=1)


WRONG = {
    "degrees": lambda vel: np.degrees(vel),
    "reversed": lambda vel: -vel,
    "other side": lambda vel: vel[:, OTHER_SIDE],
    "next joint": lambda vel: np.roll(vel, 1, axis=1),
    "none": lambda vel: 0.0 * vel,
    "twice as fast": lambda vel: 2.0 * vel,
    "one joint reversed": lambda vel: vel * np.where(np.arange(29) == G1.joint_index["left_knee_joint"], -1.0, 1.0),
}


@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.stem)
def test_every_shipped_clip_passes_by_far(path):
    clip = load_clip(path)
    assert contradiction(clip.joint_pos, clip.joint_vel, clip.fps).max() == 0.0
    for other in (to_one_side(clip.joint_pos), smoothed(clip.joint_vel)):
        assert contradiction(clip.joint_pos, other, clip.fps).max() < 0.75 * MOST_WRONG


@pytest.mark.parametrize("kind", WRONG)
def test_velocities_of_another_unit_sign_or_order_are_refused_in_every_moving_clip(kind):
    assert len(MOVING) > 15
    for path in MOVING:
        clip = load_clip(path)
        share = contradiction(clip.joint_pos, WRONG[kind](clip.joint_vel), clip.fps).max()
        assert share > 1.2 * MOST_WRONG, path.stem


@pytest.mark.parametrize("name", ["walk", "stand"])
def test_a_speed_that_nothing_moves_at_is_refused_with_joint_frame_and_both_speeds(name, tmp_path):
    clip = load_clip(shipped("motions", f"{name}.npz"))
    save_clip(dataclasses.replace(clip, joint_vel=np.full_like(clip.joint_vel, 400.0)), tmp_path / "fast.npz")
    with pytest.raises(
        ClipError,
        match=r"^fast\.npz: frame \d+: \w+_joint moves at -?\d+\.\d\d rad/s, but joint_vel says 400\.00 rad/s",
    ):
        load_clip(tmp_path / "fast.npz")


def test_velocities_in_degrees_are_refused_when_the_file_is_read(tmp_path):
    clip = load_clip(shipped("motions", "walk.npz"))
    save_clip(dataclasses.replace(clip, joint_vel=np.degrees(clip.joint_vel)), tmp_path / "walk.npz")
    with pytest.raises(ClipError, match="check unit, sign and order of joint_vel"):
        load_clip(tmp_path / "walk.npz")


def test_a_jump_in_the_motion_is_no_contradiction(tmp_path):
    clip = load_clip(shipped("motions", "walk.npz"))
    joint_pos = clip.joint_pos.copy()
    joint_pos[60:] += 0.2
    assert contradiction(joint_pos, clip.joint_vel, clip.fps).max() < 0.5 * MOST_WRONG
