"""The tracking task on both backends: one process each (tracking_probe.py), judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

isaaclab = pytest.importorskip("isaaclab")

PROBE = Path(__file__).with_name("tracking_probe.py")
ROOT = Path(__file__).resolve().parents[2]
BACKENDS = ("newton", "ovphysx")


def environment() -> dict[str, str]:
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module", params=BACKENDS)
def probe(request):
    command = [sys.executable, str(PROBE), request.param]
    run = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=400)
    lines = [line for line in run.stdout.splitlines() if line.startswith("PROBE ")]
    assert lines, run.stderr[-2000:]
    return json.loads(lines[0].removeprefix("PROBE "))


def test_joints_and_bodies_come_in_unitree_order(probe):
    assert probe["joint_names"][:4] == [f"left_{part}_joint" for part in ("hip_pitch", "hip_roll", "hip_yaw", "knee")]
    assert probe["joint_names"][12:15] == ["waist_yaw_joint", "waist_roll_joint", "waist_pitch_joint"]
    assert probe["body_names"][0] == "pelvis"
    assert probe["body_names"].index("torso_link") == 15


def test_the_simulated_robot_has_the_published_mass_and_knee_motor(probe):
    assert probe["mass"] == pytest.approx(33.34, abs=0.01)
    assert probe["kp_knee"] == pytest.approx(99.0984, rel=1e-4)
    assert probe["kd_knee"] == pytest.approx(6.3088, rel=1e-4)
    assert probe["effort_knee"] == pytest.approx(139.0)
    assert probe["armature_knee"] == pytest.approx(0.025101925, rel=1e-4)


def test_observation_sizes(probe):
    # Three frames ahead, two motion ids; the critic sees the delay, too.
    assert probe["policy_dim"] == 160 + 3 * 39 + 2
    assert probe["critic_dim"] == 286 + 1 + 3 * 39 + 2


def test_a_replayed_clip_is_tracked_perfectly(probe):
    replay = probe["replay"]
    assert replay["position_m"] < 1e-4
    assert replay["velocity"] < 0.02
    assert replay["least_reward"] > 0.99
    assert not replay["terminated"]


def test_observation_equals_the_runtimes(probe):
    terms = {"motion_anchor_pos_b", "base_lin_vel", "reference_window", "motion_id[another]", "motion_id[sway]"}
    assert set(probe["observation"]) >= terms
    assert max(probe["observation"].values()) < 1e-4


def test_the_shipped_policy_acts_alike_on_isaac_labs_and_on_the_runtimes_observation(probe):
    assert probe["shipped_action"] < 1e-4


def test_a_delayed_command_replaces_the_old_target_after_its_delay(probe):
    # Action scale of the knee, 0.35066 rad, on its default 0.669 rad.
    old, new = pytest.approx(0.669, abs=1e-4), pytest.approx(0.669 + 0.35066, abs=1e-4)
    assert probe["delay"]["0"] == [new] * 4
    assert probe["delay"]["1"] == [old, new, new, new]
    assert probe["delay"]["4"] == [old] * 4


def test_a_clips_end_is_a_truncation_and_a_fall_a_failure(probe):
    assert probe["endings"]["at_end"] == [True, False]
    assert probe["endings"]["fallen"] == [False, True]


def test_episodes_start_inside_the_clip_and_face_the_next_frame(probe):
    assert all(1 <= frame <= 39 for frame in probe["endings"]["first_frames"])


@pytest.mark.parametrize("kind", ["zero", "random"])
def test_dummy_agents_meet_no_nan(probe, kind):
    assert probe[kind]["finite"]
    assert probe[kind]["height"] > 0.2
    assert probe[kind]["ended"] > 0
