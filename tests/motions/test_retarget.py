"""The retargeter on figures drawn from scratch, whose right answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from human_figure import FPS, draw, standing_feet, swaying_pelvis, walk

from bm_core.errors import ClipError
from bm_core.g1 import G1
from bm_core.rotations import quat_from_yaw, quat_multiply, quat_rotate
from bm_training.motions.retarget.capture import HUMAN_BODIES, find_capture, read_capture
from bm_training.motions.retarget.contacts import detect_contacts
from bm_training.motions.retarget.looping import find_cycle
from bm_training.motions.retarget.pipeline import RetargetConfig, retarget
from bm_training.motions.retarget.quality import measure, sole_heights, standing_points

# Hip to ankle of the G1 (reference/unitree_g1.md: 0.624 m) over that of the figure.
LEG_RATIO = 0.624 / 0.84


def sliding_stance():
    """Standing feet whose captured soles drift and tremble as mocap does."""
    frames = 120
    feet = standing_feet(frames)
    noise = np.random.default_rng(3).normal(0.0, 0.0015, (frames, 3))
    drift = np.linspace(0.0, 0.04, frames)[:, None] * np.array([1.0, 0.5, 0.0])
    return draw(swaying_pelvis(frames), {side: path + noise + drift for side, path in feet.items()})


@pytest.fixture(scope="module")
def stance():
    return retarget(sliding_stance())


@pytest.fixture(scope="module")
def walking():
    return retarget(walk(3.0))


def travelled(points):
    return np.linalg.norm(points[-1, ..., :2] - points[0, ..., :2], axis=-1)


def test_standing_feet_stay_where_the_captured_ones_drift(stance):
    assert travelled(standing_points(stance.clip)).max() < 0.001
    assert measure(stance).worst_slip < 0.02


def test_without_contacts_the_feet_drift_along_and_the_measure_says_so(monkeypatch):
    # Contacts are known, but nothing holds on to them.
    monkeypatch.setattr("bm_training.motions.retarget.footsteps._PIN", 0.0)
    sabotaged = retarget(sliding_stance())
    assert travelled(standing_points(sabotaged.clip)).min() > 0.02
    assert measure(sabotaged).slip > 0.01


def test_standing_soles_are_on_the_floor_within_a_millimetre(stance):
    heights = sole_heights(stance.clip)
    assert heights.min() > -0.001
    assert heights.max() < 0.001


def test_pelvis_stands_at_the_height_that_the_leg_ratio_gives(stance):
    # Hips of the figure 0.79 m above its ankles, G1: pelvis 0.1332 m above its hips, ankles 0.035 m above the floor.
    expected = 0.79 * LEG_RATIO + 0.1332 + 0.035
    assert stance.clip.root_pos[:, 2].mean() == pytest.approx(expected, abs=0.01)


def test_a_step_is_scaled_by_the_leg_ratio(walking):
    left = standing_points(walking.clip)[:, 0, 1]
    stands = walking.contact[:, 0, 1]
    places = np.unique(left[stands, 0].round(2))
    strides = np.diff(places)[np.diff(places) > 0.1]
    assert strides == pytest.approx(0.8 * LEG_RATIO, abs=0.02)


def test_walking_feet_neither_slip_nor_sink_and_clear_the_floor(walking):
    quality = measure(walking)
    assert quality.passed
    assert quality.slip < 0.005
    swinging = ~walking.contact.any(-1)
    heights = sole_heights(walking.clip).min(-1)
    middle = swinging[:-10] & swinging[10:]  # ten frames of swing, so frame + 5 is away from both ends
    assert heights[5:-5][middle].min() > 0.015


def test_joints_stay_inside_their_ranges_when_the_human_bends_farther_than_the_waist():
    frames = 60
    lean = draw(swaying_pelvis(frames), standing_feet(frames), torso_pitch=np.linspace(0.0, 1.3, frames))
    clip = retarget(lean).clip
    waist = clip.joint_pos[:, clip.joint_names.index("waist_pitch_joint")]
    assert 0.45 < waist.max() <= 0.52  # Unitree: +-0.52 rad
    assert (clip.joint_pos >= G1.lower).all() and (clip.joint_pos <= G1.upper).all()


def test_equal_captures_give_equal_clips_and_others_do_not(stance):
    again = retarget(sliding_stance())
    np.testing.assert_array_equal(again.clip.joint_pos, stance.clip.joint_pos)
    np.testing.assert_array_equal(again.clip.root_pos, stance.clip.root_pos)
    other = retarget(draw(swaying_pelvis(120), standing_feet(120)))
    assert np.abs(other.clip.joint_pos - stance.clip.joint_pos).max() > 1e-4


@pytest.mark.parametrize("yaw", [np.pi, -2.0])
def test_the_heading_of_the_capture_changes_nothing_but_the_heading(walking, yaw):
    capture = walk(3.0)
    turn = quat_from_yaw(yaw)
    turned = replace(
        capture, body_pos=quat_rotate(turn, capture.body_pos), body_quat=quat_multiply(turn, capture.body_quat)
    )
    clip = retarget(turned).clip
    np.testing.assert_allclose(clip.joint_pos, walking.clip.joint_pos, atol=1e-6)
    np.testing.assert_allclose(clip.root_pos, quat_rotate(turn, walking.clip.root_pos), atol=1e-6)


def test_a_tilted_and_raised_floor_is_levelled(walking):
    capture = walk(3.0)
    capture.body_pos[..., 2] += 0.3 + 0.02 * capture.body_pos[..., 0]  # the AMP walk climbs 1.9 cm a metre
    tilted = retarget(capture)
    assert tilted.clip.root_pos[:, 2] == pytest.approx(walking.clip.root_pos[:, 2], abs=0.01)
    assert measure(tilted).passed


def test_contacts_are_where_the_drawn_feet_stand():
    capture = walk(3.0)
    contact = detect_contacts(capture).all(-1)
    time = np.arange(capture.num_frames) / FPS
    left_swings = np.mod(time / 0.5, 2.0) < 1.0
    middle = np.abs(np.mod(time / 0.5, 1.0) - 0.5) < 0.3
    assert not contact[left_swings & middle, 0].any()
    assert contact[~left_swings & middle, 0].all()
    assert contact[left_swings & middle, 1].all()


def test_a_looped_walk_goes_on_straight_without_a_seam():
    capture = walk(2.6)
    assert find_cycle(capture).length == 60  # 1 s at 60 fps
    clip = retarget(capture, RetargetConfig(loop_seconds=6.0)).clip
    assert 6.0 <= clip.duration < 7.1
    assert clip.root_pos[-1, 0] - clip.root_pos[0, 0] == pytest.approx(0.8 * LEG_RATIO * clip.duration, rel=0.02)
    assert np.ptp(clip.root_pos[:, 1]) < 0.02
    # One period later everything is as it was.
    np.testing.assert_allclose(clip.joint_pos[50:], clip.joint_pos[:-50], atol=0.03)


def test_half_a_step_holds_no_gait_cycle():
    frames = round(0.7 * FPS)
    feet = standing_feet(frames)
    feet["left"] = feet["left"] + np.linspace(0.0, 0.5, frames)[:, None] * np.array([1.0, 0.0, 0.0])
    with pytest.raises(ClipError, match="no gait cycle to loop"):
        retarget(draw(swaying_pelvis(frames), feet), RetargetConfig(loop_seconds=5.0))


def save(path, capture, **changes):
    fields = {
        "fps": 60,
        "body_names": np.array(HUMAN_BODIES),
        "body_positions": capture.body_pos.astype(np.float32),
        "body_rotations": capture.body_quat.astype(np.float32),
    }
    fields.update(changes)
    np.savez(path, **{key: value for key, value in fields.items() if value is not None})
    return path


def test_a_saved_capture_is_read_by_body_name(tmp_path):
    capture = sliding_stance()
    order = np.arange(15)[::-1]
    path = save(
        tmp_path / "reversed.npz",
        capture,
        body_names=np.array(HUMAN_BODIES)[order],
        body_positions=capture.body_pos[:, order],
        body_rotations=capture.body_quat[:, order],
    )
    np.testing.assert_allclose(read_capture(path).body_pos, capture.body_pos)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"body_names": np.array(["pelvis"] * 15)}, "no body torso"),
        ({"fps": None}, "no fps"),
        ({"body_rotations": np.zeros((120, 15, 4))}, "frame 0: quaternion length"),
        ({"body_positions": np.full((120, 15, 3), np.nan)}, "frame 0: not a finite number"),
        ({"body_positions": np.zeros((120, 14, 3))}, "body_positions"),
    ],
)
def test_a_faulty_capture_is_refused_in_one_line(tmp_path, changes, message):
    path = save(tmp_path / "bad.npz", sliding_stance(), **changes)
    with pytest.raises(ClipError, match=message) as caught:
        read_capture(path)
    assert "bad.npz" in str(caught.value) and "\n" not in str(caught.value)


def test_an_amp_capture_without_isaaclab_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("bm_training.motions.retarget.capture._SOURCE_TREE", tmp_path)
    with pytest.raises(ClipError, match="make install-train, or give the .npz itself"):
        find_capture("amp:walk")


def test_an_unknown_amp_capture_lists_the_known_ones():
    with pytest.raises(ClipError, match="amp:walk, amp:run, amp:dance"):
        find_capture("amp:swim")
