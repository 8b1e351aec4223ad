"""Definitions of the evaluation, on robots whose errors are known, and episodes with the balancer."""

import dataclasses

import numpy as np
import pytest

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos, save_clip
from bm_core.reference import MotionReference
from bm_core.rotations import quat_from_euler_xyz, quat_from_yaw, quat_multiply, quat_rotate
from bm_sim2real.blend import still
from bm_sim2real.clip_files import ClipFile
from bm_sim2real.evaluation import EvaluationConfig, Start, evaluate_clip
from bm_sim2real.evaluation_batch import Episode, plan_episodes, run_episodes, summarize
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.pushes import PushConfig, PushSchedule, push_rng
from bm_sim2real.robots.ground_truth import GroundTruth
from bm_sim2real.statistics import wilson_interval
from bm_sim2real.tracking_errors import Terminations, tracking_errors

TORSO, LEFT_WRIST, LEFT_FOOT = 15, 22, 6  # canonical body order: pelvis, legs, waist, arms


def truth_of(frame, **change):
    truth = GroundTruth(
        time=0.0,
        joint_pos=frame.joint_pos,
        joint_vel=frame.joint_vel,
        body_pos_w=frame.body_pos_w.copy(),
        body_quat_w=frame.body_quat_w.copy(),
        body_lin_vel_w=frame.body_lin_vel_w,
        body_ang_vel_w=frame.body_ang_vel_w,
    )
    return dataclasses.replace(truth, **change)


def errors_of(truth, frame):
    return tracking_errors(truth, frame, Terminations())


def test_a_robot_on_its_reference_has_no_error(balancer):
    errors = errors_of(truth_of(balancer.stand), balancer.stand)
    assert (errors.body, errors.anchor, errors.joint) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
    assert errors.failure == ""


def test_drift_in_x_y_and_yaw_is_an_anchor_error_and_not_a_body_error(balancer):
    frame, turn = balancer.stand, quat_from_yaw(0.7)
    moved = truth_of(
        frame,
        body_pos_w=quat_rotate(turn, frame.body_pos_w) + [3.0, 4.0, 0.0],
        body_quat_w=quat_multiply(turn, frame.body_quat_w),
    )
    errors = errors_of(moved, frame)
    assert errors.body == pytest.approx(0.0, abs=1e-9)
    assert errors.anchor == pytest.approx(5.0, abs=0.05)
    assert errors.failure == ""


def test_one_of_fourteen_bodies_14_cm_off_is_1_cm_of_body_error(balancer):
    truth = truth_of(balancer.stand)
    truth.body_pos_w[LEFT_WRIST, 1] += 0.14
    assert G1.body_names[LEFT_WRIST] == "left_wrist_yaw_link"
    assert errors_of(truth, balancer.stand).body == pytest.approx(0.01)
    truth.body_pos_w[LEFT_WRIST - 1, 1] += 0.5  # wrist pitch is not among the fourteen
    assert errors_of(truth, balancer.stand).body == pytest.approx(0.01)


def test_joint_error_is_the_mean_over_29_joints(balancer):
    truth = truth_of(balancer.stand, joint_pos=balancer.stand.joint_pos + 0.29 * (np.arange(29) == 4))
    assert errors_of(truth, balancer.stand).joint == pytest.approx(0.01)


@pytest.mark.parametrize(
    "off, failure", [(0.24, ""), (0.26, "anchor_pos"), (-0.26, "anchor_pos"), (np.nan, "anchor_pos")]
)
def test_anchor_pos_trips_above_25_cm_of_torso_height(balancer, off, failure):
    truth = truth_of(balancer.stand)
    truth.body_pos_w[TORSO, 2] += off
    assert errors_of(truth, balancer.stand).failure == failure


@pytest.mark.parametrize(
    "body, off, failure",
    [(LEFT_WRIST, -0.26, "ee_body_pos"), (LEFT_FOOT, 0.24, ""), (LEFT_FOOT, 0.26, "ee_body_pos"), (4, 0.5, "")],
)
def test_ee_body_pos_trips_above_25_cm_of_height_of_hands_and_feet_only(balancer, body, off, failure):
    truth = truth_of(balancer.stand)
    truth.body_pos_w[body, 2] += off
    assert errors_of(truth, balancer.stand).failure == failure


@pytest.mark.parametrize("pitch, failure", [(1.3, ""), (1.45, "anchor_ori")])  # 1 - cos = 0.73, 0.88; limit 0.8
def test_anchor_ori_trips_on_the_z_component_of_gravity(balancer, pitch, failure):
    upright = still(balancer.stand).frame(0)
    upright.body_quat_w[TORSO] = [1.0, 0.0, 0.0, 0.0]
    truth = truth_of(upright)
    truth.body_quat_w[TORSO] = quat_from_euler_xyz(0.0, pitch, 0.5)
    assert errors_of(truth, upright).failure == failure


def standing_clip(stand, seconds, name="stand"):
    frames = round(seconds * 50) + 1
    pose = stand.body_pos_w[0], stand.body_quat_w[0], stand.joint_pos
    return clip_from_qpos(name, *(np.tile(part, (frames, 1)) for part in pose), 50.0)


@pytest.fixture
def policy(balancer):
    return TrackerPolicy(balancer.contract, balancer.network, supplied=())


def test_a_balanced_robot_completes_a_standing_clip(policy, balancer):
    samples = []
    result = evaluate_clip(policy, standing_clip(balancer.stand, 2.0), on_sample=samples.append)
    assert result.completed and result.failure == "" and result.failed_at_s is None
    assert result.frames == 100 == len(result.tick_ms)
    assert [sample.frame for sample in samples] == list(range(1, 101))
    assert result.body_error_m < 0.01
    assert result.body_error_m == pytest.approx(np.mean([sample.errors.body for sample in samples]))
    assert result.effort_clamps == result.hard_stop_clamps == 0


SABOTAGES = {
    "zero action": lambda net: lambda o, k: np.zeros(29, np.float32),
    "inverted": lambda net: lambda o, k: -net(o),
    "tilt reversed": lambda net: lambda o, k: net(o * np.where(np.isin(np.arange(154), (62, 63)), -1, 1)),
}


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_sabotaged_policy_does_not_complete_it(balancer, sabotage):
    policy = TrackerPolicy(balancer.contract, SABOTAGES[sabotage](balancer.network), supplied=())
    result = evaluate_clip(
        policy,
        standing_clip(balancer.stand, 4.0),
        EvaluationConfig(pushes=PushConfig(linear=(0.15, 0.1, 0.0), angular=(0.1, 0.1, 0.1))),
    )
    assert not result.completed
    assert result.failure in ("anchor_pos", "anchor_ori", "ee_body_pos", "guard")
    assert 0.0 < result.failed_at_s < 4.0
    assert result.frames == pytest.approx(result.failed_at_s * 50, abs=1)


def test_the_same_episode_twice_gives_the_same_numbers_and_another_seed_others(policy, balancer):
    config = EvaluationConfig(pushes=PushConfig(linear=(0.1, 0.1, 0.0), angular=(0.1, 0.1, 0.1)))
    clip = standing_clip(balancer.stand, 3.0)
    errors = [evaluate_clip(policy, clip, config, seed=seed).body_error_m for seed in (3, 3, 4)]
    assert errors[0] == errors[1] != errors[2]


def test_from_standing_a_clip_is_entered_through_a_blend(policy, balancer, monkeypatch):
    monkeypatch.setattr("bm_sim2real.evaluation.standing_frame", lambda: balancer.stand)
    samples = []
    result = evaluate_clip(
        policy, standing_clip(balancer.stand, 1.0), EvaluationConfig(start=Start.STAND), on_sample=samples.append
    )
    assert result.completed
    assert [sample.frame for sample in samples] == list(range(-24, 51))
    assert result.frames == 50
    assert result.simulated_s == pytest.approx(1.0 + 0.5 + 1.0)


def test_a_clip_out_of_reach_from_standing_is_refused_and_not_completed(policy, balancer, monkeypatch):
    monkeypatch.setattr("bm_sim2real.evaluation.standing_frame", lambda: balancer.stand)
    far = dataclasses.replace(balancer.stand, joint_pos=balancer.stand.joint_pos + 2.0 * (np.arange(29) == 15))
    result = evaluate_clip(policy, standing_clip(far, 1.0), EvaluationConfig(start=Start.STAND))
    assert result.failure == "refused" and not result.completed
    assert "left_shoulder_pitch_joint is 2.00 rad away" in result.detail


def test_a_part_of_a_clip_starts_where_it_says(policy, balancer):
    clip = standing_clip(balancer.stand, 3.0)
    shifted = clip_from_qpos(
        "line", clip.root_pos + np.linspace(0, 1, 151)[:, None] * [0.3, 0, 0], clip.root_quat, clip.joint_pos, 50.0
    )
    samples = []
    result = evaluate_clip(policy, shifted, first_frame=100, last_frame=125, on_sample=samples.append)
    assert (result.start_s, result.seconds, result.frames) == (2.0, 0.5, 25)
    assert samples[0].reference.body_pos_w[0] == pytest.approx(MotionReference(shifted).frame(101).body_pos_w[0])


def test_pushes_come_every_1_to_3_s_within_their_ranges():
    schedule = PushSchedule(PushConfig(), np.random.default_rng(0))
    pushes = [schedule.next() for _ in range(20000)]
    at = np.array([k for k, push in enumerate(pushes) if push is not None])
    gaps = np.diff(np.r_[0, at]) * 0.02
    assert gaps.min() >= 1.0 and gaps.max() <= 3.0
    assert gaps.mean() == pytest.approx(2.0, abs=0.15)
    linear, angular = (np.abs([pushes[k][i] for k in at]) for i in (0, 1))
    assert (linear.max(axis=0) <= [0.5, 0.5, 0.2]).all() and (linear.max(axis=0) > [0.45, 0.45, 0.18]).all()
    assert (angular.max(axis=0) <= [0.52, 0.52, 0.78]).all()


def test_pushes_depend_on_seed_clip_and_start_only():
    draws = {key: push_rng(*key).uniform() for key in ((0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 500))}
    assert len(set(draws.values())) == 4
    assert push_rng(0, "a", 0).uniform() == draws[(0, "a", 0)]


@pytest.fixture
def files(balancer, tmp_path):
    paths = []
    for name, seconds in (("long", 21.0), ("short", 1.0)):
        paths.append(tmp_path / f"{name}.npz")
        save_clip(standing_clip(balancer.stand, seconds, name), paths[-1])
    return [ClipFile(path=path) for path in paths]


def test_whole_clips_without_pushes_and_equal_parts_of_at_most_ten_seconds_with(files):
    plain = plan_episodes(files, 1, is_pushed=False)
    assert [(e.first_frame, e.last_frame) for e in plain] == [(0, 1050), (0, 50)]
    pushed = plan_episodes(files, 2, is_pushed=True)
    assert [(e.seed, e.first_frame, e.last_frame) for e in pushed] == [
        *[(seed, first, first + 350) for seed in (0, 1) for first in (0, 350, 700)],
        *[(seed, 0, 50) for seed in (0, 1)],
    ]


def test_several_seeds_without_pushes_are_refused(files):
    with pytest.raises(ConfigError, match="--pushes"):
        plan_episodes(files, 5, is_pushed=False)


def test_two_processes_give_the_numbers_of_one(files, bundle_path):
    episodes = [Episode(clip=files[0], seed=seed, first_frame=0, last_frame=60) for seed in (0, 1)]
    config = EvaluationConfig(pushes=PushConfig())
    serial, parallel = (run_episodes(bundle_path, episodes, config, jobs=jobs) for jobs in (1, 2))
    key = [(r.clip, r.seed, r.completed, r.body_error_m, r.anchor_error_m, r.failed_at_s) for r in serial]
    assert key == [(r.clip, r.seed, r.completed, r.body_error_m, r.anchor_error_m, r.failed_at_s) for r in parallel]


def test_the_summary_weighs_clips_by_their_frames(policy, balancer):
    base = evaluate_clip(policy, standing_clip(balancer.stand, 0.2))
    results = [
        dataclasses.replace(base, clip="a", frames=300, body_error_m=0.01, completed=True),
        dataclasses.replace(base, clip="a", seed=1, frames=100, body_error_m=0.05, completed=False),
        dataclasses.replace(base, clip="b", frames=0, body_error_m=np.nan, completed=False),
    ]
    summary = summarize(results)
    assert summary["body_error_m"] == pytest.approx(0.02)
    assert (summary["clips"], summary["completed"], summary["episodes"], summary["completed_episodes"]) == (2, 0, 3, 1)
    assert summary["completion_rate"] == pytest.approx(1 / 3)


def test_wilson_interval_of_eight_in_ten():
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # published example
    assert wilson_interval(0, 0) == (0.0, 1.0)
