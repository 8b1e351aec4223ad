"""The captured clips in motions/: what a user trains on and sees first."""

import numpy as np
import pytest

from bm_core.data import shipped
from bm_core.g1 import G1
from bm_core.motion import load_clip
from bm_training.motions.check import WarningLimits, check_file
from bm_training.motions.collision_shapes import CollisionShapes
from bm_training.motions.retarget.quality import sole_heights, standing_points

SECONDS = {"walk": 2.54, "run": 1.34, "dance": 15.0, "walk_loop": 10.38, "run_loop": 10.12}


@pytest.fixture(scope="module", params=SECONDS)
def clip(request):
    return load_clip(shipped("motions", f"{request.param}.npz"))


def test_is_complete_and_says_where_it_is_from(clip):
    assert clip.duration == pytest.approx(SECONDS[clip.name], abs=0.011)
    assert "BSD-3-Clause" in clip.meta["licence"] and "mocap.cs.cmu.edu" in clip.meta["licence"]
    assert clip.meta["source"].startswith("isaaclab 3.0.0")


def test_soles_sink_less_than_5_mm_and_reach_the_floor(clip):
    lowest = sole_heights(clip).min((1, 2))
    assert lowest.min() > -0.005
    assert np.median(lowest) < 0.005


def test_soles_on_the_floor_do_not_slide(clip):
    points = standing_points(clip)
    down = points[..., 2] < 0.001
    speed = np.linalg.norm(np.diff(points[..., :2], axis=0), axis=-1) * 50.0
    sliding = speed[down[1:] & down[:-1]]
    assert len(sliding) > 0.3 * clip.num_frames  # never vacuous: even runs have a point down that often
    assert np.median(sliding) < 0.002  # m/s
    assert np.quantile(sliding, 0.99) < 0.02


def test_joints_stay_inside_ranges_and_below_motor_speeds(clip):
    assert (clip.joint_pos > G1.lower - 1e-4).all() and (clip.joint_pos < G1.upper + 1e-4).all()
    assert np.abs(clip.joint_vel).max() < 12.5  # rad/s; the knee motor turns 20, the slowest (wrist) 22
    wrists = [index for index, name in enumerate(G1.joint_names) if "wrist" in name]
    assert np.abs(clip.joint_pos[:, wrists]).max() < 0.5  # the captures have no hands


def test_motion_check_finds_it_fit_and_warns_of_nothing_but_a_start_far_from_the_default_pose(clip):
    check = check_file(shipped("motions", f"{clip.name}.npz"), CollisionShapes(), WarningLimits())
    assert check.is_fit
    assert set(check.warnings) <= {"start_distance"}


def test_pelvis_moves_without_jerks(clip):
    acceleration = np.diff(clip.root_pos, 2, axis=0) * 50.0**2
    assert np.linalg.norm(acceleration, axis=-1).max() < 12.0  # m/s^2, running included


@pytest.mark.parametrize("name, speed", [("walk_loop", 1.14), ("run_loop", 2.6)])
def test_loops_go_straight_on_at_the_captured_speed(name, speed):
    clip = load_clip(shipped("motions", f"{name}.npz"))
    path = clip.root_pos[-1] - clip.root_pos[0]
    assert np.linalg.norm(path[:2]) / clip.duration == pytest.approx(speed, rel=0.05)
    side = np.array([-path[1], path[0]]) / np.linalg.norm(path[:2])
    assert np.ptp((clip.root_pos[:, :2] - clip.root_pos[0, :2]) @ side) < 0.1
