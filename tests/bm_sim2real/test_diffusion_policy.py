"""The diffusion policy in lockstep: history in, plans ordered on time, committed actions kept, nothing run twice."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from tiny_planner import LAYOUT, frozen, plain_spec, tiny_policy  # noqa: E402

from bm_core.errors import BundleError  # noqa: E402
from bm_core.g1 import G1  # noqa: E402
from bm_core.state import RobotState  # noqa: E402


def reading(step, has_base=True):
    zero = np.zeros(29)
    return RobotState(
        seq=step,
        time=0.02 * step,
        joint_pos=G1.default_joint_pos.copy(),
        joint_vel=zero,
        joint_torque=zero,
        pelvis_quat_w=np.array([1.0, 0.0, 0.0, 0.0]),
        pelvis_gyro_b=np.zeros(3),
        pelvis_acc_b=np.zeros(3),
        pelvis_pos_w=np.array([0.01 * step, 0.0, 0.76]) if has_base else None,
        pelvis_lin_vel_b=np.array([0.5, 0.0, 0.0]) if has_base else None,
    )


def targets(step):
    """Of another policy: every joint 0.01 rad more per step."""
    return G1.default_joint_pos + 0.01 * step


def watched(policy, steps, wanted_from=0):
    """Feeds `steps` readings while another policy acts."""
    for step in range(steps):
        policy.is_wanted = step >= wanted_from
        policy.see(reading(step))
        policy.watch(targets(step))


def test_no_plan_is_made_before_the_history_is_full():
    policy = tiny_policy()
    watched(policy, 8)
    assert policy.plan is None and not policy.source.is_busy
    policy.see(reading(8))
    assert policy.source.is_busy


def test_the_history_holds_every_second_state_and_every_action_in_network_units():
    orders = []
    policy = tiny_policy()
    policy.source.order = orders.append
    watched(policy, 9)
    history = orders[0].history
    np.testing.assert_allclose(history.root_pos_w[:, 0], [0.0, 0.02, 0.04, 0.06, 0.08])
    np.testing.assert_allclose(history.root_lin_vel_w[:, 0], 0.5)
    expected = np.array([0.01 * step for step in range(8)])[:, None] / G1.action_scale
    np.testing.assert_allclose(history.actions, expected)
    assert orders[0].step == 8 and orders[0].committed == 0


@pytest.mark.parametrize("latency", [0, 1, 2, 4])
def test_a_plan_arrives_after_its_latency_and_the_next_one_is_ordered_a_whole_token_later(latency):
    policy = tiny_policy(latency)
    watched(policy, 8)
    stamps, ready = [], []
    policy.is_wanted = True
    for step in range(8, 24):
        policy.see(reading(step))
        ready.append(policy.is_ready)
        if policy.act() is None:
            policy.watch(targets(step))
        elif not stamps or policy.plan.step != stamps[-1]:
            stamps.append(policy.plan.step)
    assert ready == [False] * latency + [True] * (16 - latency)
    assert set(np.diff(stamps)) == {max(2, latency)}


RANDOM = np.random.default_rng(0)


def random_actions(states, actions, state_levels, action_levels):
    return frozen(states, actions, state_levels, action_levels)[0], RANDOM.normal(size=actions.shape)


@pytest.mark.parametrize("most, kept", [(0, 0), (1, 2), (2, 4), (3, 4)])
def test_as_many_actions_are_kept_as_the_bundle_says(most, kept):
    """Four control steps late: two tokens of two steps will have run."""
    policy = tiny_policy(latency_steps=4, denoise=random_actions, spec=plain_spec(most_committed=most))
    watched(policy, 13)
    first = policy.plan
    for step in range(13, 17):
        policy.see(reading(step))
        policy.act()
    second = policy.plan
    assert (first.step, second.step) == (8, 12) and second.is_warm
    same = [np.abs(second.action(step) - first.action(step)).max() < 1e-6 for step in range(12, 18)]
    assert same == [True] * kept + [False] * (6 - kept)


@pytest.mark.parametrize("level", [0, 20])
def test_the_past_actions_are_told_as_far_as_the_bundle_says(level):
    seen = []

    def recorded(states, actions, state_levels, action_levels):
        seen.append((actions, action_levels))
        return frozen(states, actions, state_levels, action_levels)

    policy = tiny_policy(latency_steps=0, denoise=recorded, spec=plain_spec(history_action_level=level))
    watched(policy, 9)
    actions, levels = seen[0]
    assert levels[0, : LAYOUT.present].tolist() == [level] * LAYOUT.present
    told = LAYOUT.pack(np.array([0.01 * step / G1.action_scale for step in range(8)]))
    error = np.abs(actions[0, : LAYOUT.present] - told).max()
    assert error < 1e-6 if level == 0 else error > 0.1


def test_actions_that_will_have_run_are_kept_in_the_next_plan():
    policy = tiny_policy(latency_steps=2, denoise=random_actions)
    watched(policy, 11)
    first = policy.plan
    for step in (11, 12):
        policy.see(reading(step))
        policy.act()
    second = policy.plan
    assert (first.step, second.step) == (8, 10) and second.is_warm
    # Steps 10 and 11 were run from the first plan while the second was made.
    np.testing.assert_allclose(second.action(10), first.action(10), atol=1e-6)
    np.testing.assert_allclose(second.action(11), first.action(11), atol=1e-6)
    assert np.abs(second.action(12) - first.action(12)).max() > 0.1


def test_a_plan_runs_for_its_supervised_horizon_and_no_longer():
    policy = tiny_policy(latency_steps=0)
    watched(policy, 9)
    policy.is_wanted = False
    left = []
    for step in range(9, 30):
        policy.see(reading(step))
        left.append(policy.steps_left)
        if policy.act() is None:
            break
    assert step == 8 + 2 * LAYOUT.supervised and left[0] == 15 and left[-1] == 0


def test_without_an_estimate_of_the_base_no_plan_is_made():
    policy = tiny_policy(latency_steps=0)
    watched(policy, 9)
    assert policy.plan.step == 8
    policy.see(reading(9, has_base=False))
    for step in range(10, 18):
        policy.see(reading(step))
        policy.watch(targets(step))
    assert policy.plan.step == 8
    policy.see(reading(18))
    assert policy.plan.step == 18


def test_latents_of_a_time_in_which_another_policy_acted_are_unknown_to_the_planner():
    levels = []

    def remember(states, actions, state_levels, action_levels):
        levels.append(action_levels[0].tolist())
        return 0.0 * states, 0.0 * actions

    policy = tiny_policy(latency_steps=0, denoise=remember)
    policy._is_joint = False
    watched(policy, 9)
    assert levels[0][: LAYOUT.present] == [20] * 4
    for step in range(9, 19):
        policy.see(reading(step))
        policy.act()
    assert levels[-1][: LAYOUT.present] == [0] * 4  # by now the history is the plan's own


def test_a_decoder_sees_what_the_robot_feels_in_the_order_of_its_contract():
    import dataclasses

    import onnx
    from onnx import TensorProto, helper

    from bm_core.diffusion.contract import DecoderSpec
    from bm_core.observation_terms import ObservationTerm
    from bm_sim2real.planning.decoder import ActionDecoder

    # actions = the first 29 numbers of obs: gravity, turning, then joints.
    tensors = {"z": [1, 29], "obs": [1, 93], "actions": [1, 29]}
    infos = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in tensors.items()}
    parts = [
        helper.make_node("Split", ["obs"], ["head", "tail"], axis=1),
        helper.make_node("Mul", ["z", "zero"], ["n"]),
    ]
    parts.append(helper.make_node("Add", ["head", "n"], ["actions"]))
    constants = [helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])]
    parts[0].input.append("sizes")
    constants.append(helper.make_tensor("sizes", TensorProto.INT64, [2], [29, 64]))
    graph = helper.make_graph(parts, "d", [infos["z"], infos["obs"]], [infos["actions"]], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    sizes = {"projected_gravity": 3, "base_ang_vel": 3, "joint_pos": 29, "joint_vel": 29, "actions": 29}
    terms = tuple(ObservationTerm(name=name, dim=dim) for name, dim in sizes.items())
    contract = dataclasses.replace(tiny_policy().contract, decoder=DecoderSpec(sha256="", observations=terms))
    decode = ActionDecoder(model.SerializeToString(), contract)
    state = dataclasses.replace(
        reading(0), pelvis_gyro_b=np.array([1.0, 2.0, 3.0]), joint_pos=G1.default_joint_pos + 0.25
    )
    got = decode(np.zeros(29, dtype=np.float32), state, np.zeros(29))
    np.testing.assert_allclose(got[:8], [0.0, 0.0, -1.0, 1.0, 2.0, 3.0, 0.25, 0.25], atol=1e-6)
    with pytest.raises(BundleError, match="'smell' is unknown"):
        odd = DecoderSpec(sha256="", observations=(ObservationTerm(name="smell", dim=1),))
        ActionDecoder(model.SerializeToString(), dataclasses.replace(contract, decoder=odd))


def test_equal_seeds_give_equal_plans_and_others_do_not():
    def plan(seed):
        policy = tiny_policy(latency_steps=0, denoise=lambda s, a, *levels: (0.5 * s, 0.5 * a), spec=plain_spec())
        policy.reset(seed)
        watched(policy, 9)
        return policy.plan.actions

    assert np.array_equal(plan(3), plan(3)) and not np.array_equal(plan(3), plan(4))
