"""The brake trial: what counts as upright, which moments are chosen."""

import dataclasses

import numpy as np
import pytest

from bm_core.errors import ConfigError
from bm_core.motion import clip_from_qpos, save_clip
from bm_sim2real.brake_evaluation import BrakeConfig, BrakeTrial, brake_trial, choose_trials, summarize_brakes
from bm_sim2real.clip_files import ClipFile
from bm_sim2real.policies.tracker import TrackerPolicy

CALM = BrakeConfig(pushes=None)


@pytest.fixture
def policy(balancer):
    return TrackerPolicy(balancer.contract, balancer.network, supplied=())


def sliding(stand, speeds, name="slide"):
    """A clip of the standing pose that glides along x at the given speed in each frame, m/s."""
    frames = len(speeds)
    path = np.cumsum(np.asarray(speeds) / 50.0)[:, None] * [1.0, 0.0, 0.0]
    quat, joints = (np.tile(part, (frames, 1)) for part in (stand.body_quat_w[0], stand.joint_pos))
    return clip_from_qpos(name, stand.body_pos_w[0] + path, quat, joints, 50.0)


def trial(frame=60):
    return BrakeTrial(clip=ClipFile(path="unused.npz"), frame=frame, speed=0.0, seed=0)


@pytest.fixture
def own_stand(balancer, monkeypatch):
    """The balancer knows one pose only: brake into that one, without steps."""
    monkeypatch.setattr("bm_sim2real.brake_evaluation.standing_frame", lambda: balancer.stand)
    monkeypatch.setattr("bm_sim2real.brake_evaluation.plan_stop", None)


def test_a_robot_that_stays_up_is_upright(policy, balancer, own_stand):
    result = brake_trial(policy, sliding(balancer.stand, np.zeros(100)), trial(), CALM)
    assert result.upright and result.detail == ""
    assert result.stop_distance_m < 0.05


def test_a_robot_that_falls_is_not_and_says_when(balancer, own_stand):
    limp = TrackerPolicy(balancer.contract, lambda o, k: np.zeros(29, np.float32), supplied=())
    result = brake_trial(limp, sliding(balancer.stand, np.zeros(100)), trial(), dataclasses.replace(CALM, walk_s=0.2))
    assert not result.upright
    assert result.detail.startswith("braking, ")


def test_a_robot_that_falls_before_it_brakes_counts_against_it(balancer, own_stand):
    limp = TrackerPolicy(balancer.contract, lambda o, k: np.zeros(29, np.float32), supplied=())
    config = dataclasses.replace(CALM, walk_s=2.0)
    result = brake_trial(limp, sliding(balancer.stand, np.zeros(200)), trial(120), config)
    assert result.detail.startswith("walking, ")
    assert summarize_brakes([result]) | {"upright_interval": None} == {
        "trials": 1, "upright": 0, "upright_rate": 0.0, "upright_interval": None, "fell_walking": 1,
        "stop_distance_m": pytest.approx(result.stop_distance_m),
    }  # fmt: skip


def test_a_hand_on_the_floor_is_a_fall(policy, balancer, own_stand, monkeypatch):
    monkeypatch.setattr(
        "bm_sim2real.robots.mujoco.MujocoRobot.floor_contacts", lambda self: frozenset({"left_wrist_yaw_link"})
    )
    result = brake_trial(policy, sliding(balancer.stand, np.zeros(100)), trial(), CALM)
    assert "left_wrist_yaw_link on the floor" in result.detail


def test_a_robot_that_never_reaches_stand_has_not_braked(policy, balancer, own_stand, monkeypatch):
    from bm_sim2real.blend import still

    def endless(state, frame):
        reference = still(frame)
        return type("Endless", (), {"num_frames": 10_000, "frame": lambda self, k: reference.frame(k)})()

    monkeypatch.setattr("bm_sim2real.brake_evaluation.plan_stop", endless)
    result = brake_trial(policy, sliding(balancer.stand, np.zeros(100)), trial(), CALM)
    assert result.detail == "still in brake after 5.0 s"


def test_moments_are_spread_over_the_speeds_and_leave_room_to_walk_up_to_them(balancer, tmp_path):
    speeds = np.concatenate([np.linspace(0.0, 1.5, 400), np.full(100, 1.5)])
    path = tmp_path / "faster.npz"
    save_clip(sliding(balancer.stand, speeds), path)
    trials = choose_trials([ClipFile(path=path)], 9, 0)
    assert [round(t.speed, 1) for t in trials] == sorted(round(t.speed, 1) for t in trials)
    assert trials[0].speed < 0.25 and 0.9 <= trials[-1].speed <= 1.0
    assert min(t.frame for t in trials) >= 50
    assert choose_trials([ClipFile(path=path)], 9, 0) == trials != choose_trials([ClipFile(path=path)], 9, 1)


def test_clips_without_walking_are_refused(balancer, tmp_path):
    path = tmp_path / "stand.npz"
    save_clip(sliding(balancer.stand, np.zeros(200)), path)
    with pytest.raises(ConfigError, match="no clip walks"):
        choose_trials([ClipFile(path=path)], 4, 0)
