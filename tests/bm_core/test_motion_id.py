"""Policies that are told which clip they follow: one number a clip, through contract, observation and golden trace."""

import dataclasses

import numpy as np
import pytest

from bm_core.contract import Contract, Training, g1_contract
from bm_core.contract_check import check_contract
from bm_core.errors import BundleError
from bm_core.g1 import G1
from bm_core.golden_trace import decode_trace, encode_trace
from bm_core.motion import clip_from_qpos
from bm_core.observation import ObservationBuilder
from bm_core.observation_terms import motion_ids, tracker_terms
from bm_core.reference import MotionReference, motion_name
from bm_core.state import RobotState
from bm_core.trace_recorder import TraceRecorder

TRAINING = Training(commit="", motion_set="two", motion_set_sha256="ff" * 32, steps=1, run="tiny")
CONTRACT = g1_contract(tracker_terms(state_estimation=False, motions=("walk", "kick [2]")), TRAINING)


def standing(name, frames=20):
    root = np.tile([0.0, 0.0, 0.76], (frames, 1))
    quat = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1))
    return MotionReference(clip_from_qpos(name, root, quat, np.tile(G1.default_joint_pos, (frames, 1)), 50.0))


def state():
    return RobotState(
        seq=0,
        time=0.0,
        joint_pos=G1.default_joint_pos + 0.01,
        joint_vel=np.zeros(29),
        joint_torque=np.zeros(29),
        pelvis_quat_w=np.array([1.0, 0.0, 0.0, 0.0]),
        pelvis_gyro_b=np.zeros(3),
        pelvis_acc_b=np.zeros(3),
        pelvis_pos_w=np.array([0.0, 0.0, 0.76]),
        pelvis_lin_vel_b=np.zeros(3),
    )


def told(reference, contract=CONTRACT):
    return ObservationBuilder(contract).compute(state(), reference, 1, np.zeros(29, np.float32))[154:].tolist()


def test_the_policy_is_told_the_clip_by_name():
    assert CONTRACT.observation_dim == 156
    assert told(standing("walk")) == [1.0, 0.0]
    assert told(standing("kick [2]")) == [0.0, 1.0]


def test_other_clips_and_references_without_a_name_are_all_zeros():
    class Plan:
        num_frames = 20

        def frame(self, k):
            return standing("anything").frame(k)

    assert motion_name(Plan()) == ""
    assert told(Plan()) == told(standing("run")) == [0.0, 0.0]


def test_the_contract_carries_the_names_in_order():
    again = Contract.from_json(CONTRACT.to_json())
    check_contract(again, "two")
    assert again == CONTRACT
    assert motion_ids(again.observations) == ("walk", "kick [2]")


def test_a_motion_named_twice_is_refused():
    with pytest.raises(BundleError, match="listed 2 times"):
        check_contract(
            dataclasses.replace(CONTRACT, observations=(*CONTRACT.observations, CONTRACT.observations[-1])), "x"
        )


def recorded():
    recorder = TraceRecorder(CONTRACT, lambda observation: np.tanh(observation[-29:]))
    for name in ("kick [2]", "run", "walk"):
        recorder.start(standing(name), 1, 3)
        for _ in range(3):
            recorder.step(state())
    return recorder.finish()


def test_a_golden_trace_replays_with_the_clips_it_was_recorded_on():
    trace = decode_trace(encode_trace(recorded()), CONTRACT, "bundle")
    assert trace.motion.tolist() == [1, -1, 0]
    np.testing.assert_allclose(trace.observations(CONTRACT), trace.observation, atol=1e-6)
    assert trace.observation[[0, 3, 6], 154:].tolist() == [[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]


def test_a_trace_that_names_no_motion_of_the_contract_is_refused():
    broken = dataclasses.replace(recorded(), motion=np.array([0, 2, 1]))
    with pytest.raises(BundleError, match=r"motion must be -1\.\.1"):
        decode_trace(encode_trace(broken), CONTRACT, "bundle")
