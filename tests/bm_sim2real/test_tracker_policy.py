"""The tracker around its network: proof at load, mapping by name, frames, memory."""

import dataclasses

import numpy as np
import onnx
import pytest

from bm_core.errors import BundleError, ConfigError, RobotError
from bm_core.g1 import G1
from bm_core.observation_terms import tracker_terms
from bm_sim2real.blend import still
from bm_sim2real.policies.inference import OnnxSession
from bm_sim2real.policies.tracker import TrackerPolicy, base_state_needed
from bm_sim2real.robots.mock import MockRobot
from bm_sim2real.robots.protocol import BaseState


@pytest.fixture
def state():
    robot = MockRobot()
    robot.connect()
    return robot.read()


def test_a_bundle_loads_proves_itself_and_gives_the_networks_targets(bundle_path, balancer, state):
    policy = TrackerPolicy.load(bundle_path)
    policy.reset(still(balancer.stand))
    output = policy.step(state)
    expected = balancer.network(output.observation)
    assert output.action == pytest.approx(expected, abs=1e-4)
    assert output.q == pytest.approx(G1.default_joint_pos + G1.action_scale * expected, abs=1e-4)
    assert output.kp[3] == pytest.approx(99.0984, rel=1e-5)  # knee, whole_body_tracking's g1.py
    assert output.kd[3] == pytest.approx(6.3088, rel=1e-4)


def test_a_real_robot_runs_proven_policies_only(bundle_path, tmp_path):
    model = onnx.load(bundle_path)
    kept = [entry for entry in model.metadata_props if not entry.key.startswith("bm.")]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.producer_name = "pytorch"
    foreign = tmp_path / "foreign.onnx"
    foreign.write_bytes(model.SerializeToString())
    real = dataclasses.replace(MockRobot().features, is_simulated=False)
    assert TrackerPolicy.load(foreign, features=MockRobot().features).warnings
    with pytest.raises(
        BundleError, match="foreign.onnx: no golden trace: .* real robots run policies of bm export only"
    ):
        TrackerPolicy.load(foreign, features=real)
    assert TrackerPolicy.load(bundle_path, features=real).warnings == ()


def test_a_bundle_whose_weights_were_changed_is_refused(bundle_path, tmp_path):
    model = onnx.load(bundle_path)
    model.graph.initializer[1].raw_data = bytes(len(model.graph.initializer[1].raw_data))
    changed = tmp_path / "changed.onnx"
    onnx.save(model, changed)
    with pytest.raises(BundleError, match="sha256"):
        TrackerPolicy.load(changed)


def test_a_session_that_computes_something_else_is_refused(bundle_path, monkeypatch):
    honest = OnnxSession.__call__
    monkeypatch.setattr(OnnxSession, "__call__", lambda self, observation: honest(self, observation) + 0.01)
    with pytest.raises(BundleError, match="action of"):
        TrackerPolicy.load(bundle_path)


def test_a_session_on_an_unknown_or_missing_provider_is_refused(bundle_path):
    with pytest.raises(ConfigError, match="unknown"):
        OnnxSession(bundle_path, "quantum")
    with pytest.raises(ConfigError, match="TensorrtExecutionProvider"):
        OnnxSession(bundle_path, "tensorrt")


def test_joints_are_mapped_by_name(balancer, state):
    order = np.random.default_rng(1).permutation(29)
    action = balancer.contract.action
    shuffled = dataclasses.replace(
        balancer.contract,
        action=dataclasses.replace(
            action,
            joint_names=tuple(action.joint_names[i] for i in order),
            scale=tuple(action.scale[i] for i in order),
            default_joint_pos=tuple(action.default_joint_pos[i] for i in order),
        ),
        stiffness=tuple(balancer.contract.stiffness[i] for i in order),
        damping=tuple(balancer.contract.damping[i] for i in order),
        effort_limit=tuple(balancer.contract.effort_limit[i] for i in order),
    )
    ramp = np.linspace(-1, 1, 29, dtype=np.float32)
    outputs = []
    for contract, reply in ((balancer.contract, ramp), (shuffled, ramp[order])):
        policy = TrackerPolicy(contract, lambda observation, k, reply=reply: reply, supplied=())
        policy.reset(still(balancer.stand))
        outputs.append(policy.step(state))
    assert outputs[0].q == pytest.approx(outputs[1].q)
    assert outputs[0].kp == pytest.approx(outputs[1].kp)
    joint_pos = slice(67, 96)
    assert outputs[1].observation[joint_pos] == pytest.approx(outputs[0].observation[joint_pos][order])


class Counting:
    """A reference that tells which frames were asked for."""

    num_frames = 5

    def __init__(self, frame):
        self._frame, self.asked = frame, []

    def frame(self, k):
        self.asked.append(k)
        return self._frame


def test_a_robot_in_frame_s_sees_frame_s_plus_1_first_and_ends_on_the_last(balancer, state):
    policy = TrackerPolicy(balancer.contract, balancer.network, supplied=())
    reference = Counting(balancer.stand)
    policy.reset(reference, 2)
    frames = []
    while not policy.is_finished:
        frames.append(policy.step(state).frame)
    assert frames == [3, 4] == reference.asked


def test_the_last_action_is_remembered_by_follow_and_forgotten_by_reset(balancer, state):
    policy = TrackerPolicy(balancer.contract, lambda observation, k: np.full(29, 0.7, np.float32), supplied=())
    last_action = slice(125, 154)
    policy.reset(still(balancer.stand))
    assert not policy.step(state).observation[last_action].any()
    policy.follow(still(balancer.stand))
    assert policy.step(state).observation[last_action] == pytest.approx(0.7)
    policy.reset(still(balancer.stand))
    assert not policy.step(state).observation[last_action].any()


def test_a_policy_that_needs_an_estimate_is_refused_by_a_robot_without(balancer):
    greedy = dataclasses.replace(balancer.contract, observations=tracker_terms(state_estimation=True))
    with pytest.raises(BundleError, match="pelvis_pos_w"):
        TrackerPolicy(greedy, balancer.network, supplied=())


def test_stepping_without_a_reference_is_refused(balancer, state):
    with pytest.raises(RobotError, match="reset first"):
        TrackerPolicy(balancer.contract, balancer.network, supplied=()).step(state)


def test_an_observation_agrees_with_hand_computed_numbers(balancer, state):
    """A robot rolled by 0.1 rad, one knee bent by 0.2, against an upright reference in its default pose."""
    rolled = dataclasses.replace(
        state,
        pelvis_quat_w=np.array([np.cos(0.05), np.sin(0.05), 0.0, 0.0]),
        pelvis_gyro_b=np.array([0.3, -0.2, 0.1]),
        joint_pos=state.joint_pos + 0.2 * (np.arange(29) == 3),
        joint_vel=0.5 * (np.arange(29) == 28),
    )
    upright = still(balancer.stand)
    upright.align(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]), 0)
    policy = TrackerPolicy(balancer.contract, balancer.network, supplied=())
    policy.reset(upright)
    seen = policy.step(rolled).observation
    reference = balancer.stand
    assert seen[:29] == pytest.approx(reference.joint_pos, abs=1e-6)
    assert seen[29:58] == pytest.approx(np.zeros(29), abs=1e-9)
    assert seen[64:67] == pytest.approx([0.3, -0.2, 0.1])
    assert seen[67 + 3] == pytest.approx(0.2) and np.count_nonzero(seen[67:96]) == 1
    assert seen[96 + 28] == pytest.approx(0.5) and np.count_nonzero(seen[96:125]) == 1
    # R_robot^T R_ref: the waist is at 0, so the torso is rolled by 0.1; the reference leans by its own pitch p.
    w, x, y, z = reference.anchor_quat_w
    p = 2.0 * np.arctan2(y, w)
    assert abs(x) < 1e-4 and abs(z) < 1e-4
    c, s = np.cos(0.1), np.sin(0.1)
    by_hand = [np.cos(p), 0.0, -s * np.sin(p), c, -c * np.sin(p), -s]
    assert seen[58:64] == pytest.approx(by_hand, abs=2e-4)


@pytest.mark.parametrize("state_estimation, expected", [(False, BaseState.NONE), (True, BaseState.ESTIMATE)])
def test_only_a_policy_with_state_estimation_is_given_an_estimate(balancer, state_estimation, expected):
    contract = dataclasses.replace(balancer.contract, observations=tracker_terms(state_estimation=state_estimation))
    assert base_state_needed(contract) is expected
