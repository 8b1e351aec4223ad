"""The shipped tracker in MuJoCo: what it promises, and sabotage that it must not survive."""

import dataclasses

import numpy as np
import pytest

from bm_core.data import shipped
from bm_core.g1 import G1
from bm_core.motion import load_clip
from bm_core.rotations import quat_from_euler_xyz, quat_multiply, quat_rotate_inverse
from bm_sim2real.brake_evaluation import BrakeConfig, brake_trial, choose_trials
from bm_sim2real.clip_files import ClipFile
from bm_sim2real.evaluation import EvaluationConfig, Start, evaluate_clip
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.robots.simulation_config import SimulationConfig


@pytest.fixture(scope="module")
def tracker():
    return TrackerPolicy.load(shipped("policies", "g1_tracker.onnx"))


@pytest.fixture(scope="module")
def stream():
    """Ten seconds of walking, turning and stopping."""
    return load_clip(_stream_file(), end_s=10.0)


def _stream_file():
    return sorted(shipped("motions").rglob("stream_*.npz"))[0]


@pytest.mark.parametrize("start", list(Start))
def test_it_walks_the_stream(tracker, stream, start):
    result = evaluate_clip(tracker, stream, EvaluationConfig(start=start))
    assert result.completed, result.detail
    assert result.body_error_m < 0.04
    assert result.clamp_share < 0.005


@pytest.mark.parametrize("settings", [{"delay_ms": 10}, {"friction": 0.5}, {"mass_scale": 1.1}, {"gain_scale": 0.9}])
def test_it_walks_on_a_robot_that_is_a_little_different(tracker, stream, settings):
    result = evaluate_clip(tracker, stream, EvaluationConfig(simulation=SimulationConfig(**settings)))
    assert result.completed, result.detail


def test_it_brakes_out_of_walking_under_pushes(tracker):
    clip = ClipFile(path=_stream_file())
    trials = choose_trials([clip], 4, 0)
    results = [brake_trial(tracker, clip.load(), trial, BrakeConfig()) for trial in trials]
    assert [result.detail for result in results] == [""] * 4


MIRROR = {"left": "right", "right": "left"}
SWAPPED = [G1.joint_index["_".join(MIRROR.get(part, part) for part in name.split("_"))] for name in G1.joint_names]


class Sabotaged(TrackerPolicy):
    """A tracker whose reading or target is tampered with."""

    def __init__(self, tracker, *, reading=lambda state: state, target=lambda q: q):
        self.__dict__.update(tracker.__dict__)
        self._reading, self._target = reading, target

    def step(self, state):
        output = super().step(self._reading(state))
        return dataclasses.replace(output, q=self._target(output.q))


def imu_turned(roll, pitch):
    turn = quat_from_euler_xyz(roll, pitch, 0.0)
    return lambda state: dataclasses.replace(
        state,
        pelvis_quat_w=quat_multiply(state.pelvis_quat_w, turn),
        pelvis_gyro_b=quat_rotate_inverse(turn, state.pelvis_gyro_b),
    )


SABOTAGES = {
    "zero action": {"target": lambda q: G1.default_joint_pos},
    "swapped legs": {"target": lambda q: q[SWAPPED]},
    "targets in reverse joint order": {"target": lambda q: q[::-1]},
    "imu rolled by 90 degrees": {"reading": imu_turned(np.pi / 2, 0.0)},
    "gyro stuck at 2 rad per s": {"reading": lambda state: dataclasses.replace(state, pelvis_gyro_b=np.full(3, 2.0))},
    "joint encoders stuck": {
        "reading": lambda state: dataclasses.replace(state, joint_pos=G1.default_joint_pos, joint_vel=np.zeros(29))
    },
}


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_it_fails_under(sabotage, tracker, stream):
    assert not evaluate_clip(Sabotaged(tracker, **SABOTAGES[sabotage]), stream).completed
