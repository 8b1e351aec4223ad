"""Policies of whole_body_tracking and mjlab load by their own metadata; what they cannot promise is listed."""

import numpy as np
import pytest
import yaml
from foreign_files import (
    OBSERVATIONS_160,
    column,
    deploy_document,
    mjlab_entries,
    wbt_entries,
    write_holosoma,
    write_unitree_rl_lab,
    write_wbt,
)
from tiny_bundle import network, save, session

from bm_core.bundle import Bundle
from bm_core.errors import BundleError
from bm_core.joint_order import ISAAC_JOINT_NAMES

KNEE, WRIST = ISAAC_JOINT_NAMES.index("left_knee_joint"), ISAAC_JOINT_NAMES.index("left_wrist_yaw_joint")


def foreign(**changes: str | None) -> dict[str, str]:
    entries = {**wbt_entries(), "body_names": "pelvis,torso_link", **changes}
    return {key: value for key, value in entries.items() if value is not None}


def write(path, metadata, num_inputs=154, embedded=False):
    model = network(num_inputs, extra_input=embedded)
    model.producer_name = "pytorch"
    return save(model, metadata, path)


def test_a_foreign_policy_loads_with_its_own_joint_order_and_numbers(tmp_path):
    path = write(tmp_path / "x.onnx", foreign())
    bundle = Bundle.read(path)
    contract = bundle.contract
    assert contract.action.joint_names == ISAAC_JOINT_NAMES
    assert contract.stiffness[KNEE] == 99.098 and contract.action.scale[WRIST] == 0.075
    assert contract.effort_limit[KNEE] == 139.0  # not in their metadata: the robot's
    assert contract.reference == "external" and contract.training.run == "team/project/run"
    assert [(t.name, t.size) for t in contract.observations][-1] == ("actions", 29)
    assert bundle.is_foreign and any("golden trace" in warning for warning in bundle.warnings)
    assert bundle.prove(session(path)).num_ticks == 0


def test_an_embedded_motion_is_recognised(tmp_path):
    bundle = Bundle.read(write_wbt(tmp_path / "x.onnx"))
    assert bundle.contract.reference == "embedded"
    assert [tensor.name for tensor in bundle.model.inputs] == ["obs", "time_step"]


def test_a_time_step_without_a_motion_is_recognised(tmp_path):
    assert Bundle.read(write(tmp_path / "x.onnx", foreign(), embedded=True)).contract.reference == "timed"


def test_the_base_velocity_is_that_of_the_point_the_trainer_observes(tmp_path):
    """Isaac Lab: centre of mass of the pelvis; mjlab: velocimeter at the IMU."""
    isaac = Bundle.read(write_wbt(tmp_path / "a.onnx", entries=wbt_entries(observations=OBSERVATIONS_160)))
    mjlab = Bundle.read(write_wbt(tmp_path / "b.onnx", entries=mjlab_entries()))
    assert [t.name for t in isaac.contract.observations][3] == "base_lin_vel_com"
    assert [t.name for t in mjlab.contract.observations][3] == "base_lin_vel_imu"
    assert any("centre of mass" in warning for warning in isaac.warnings)


def test_mjlabs_history_and_scale_of_each_term_are_read(tmp_path):
    entries = mjlab_entries() | {
        "observation_terms_history_length": "0,0,0,0,4,0,0,0",
        "observation_terms_scale": "1.0,1.0,1.0,1.0,0.25,1.0,0.050;0.050;0.050,1.0",
    }
    model = network(169, extra_input=False)
    model.producer_name = "pytorch"
    terms = {t.name: t for t in Bundle.read(save(model, entries, tmp_path / "x.onnx")).contract.observations}
    assert (terms["base_ang_vel"].history, terms["base_ang_vel"].scale) == (4, 0.25)
    assert terms["joint_vel"].scale == 0.05 and terms["joint_pos"].history == 1


def test_holosomas_json_metadata_and_sorted_terms_are_understood(tmp_path):
    bundle = Bundle.read(write_holosoma(tmp_path / "x.onnx"))
    contract = bundle.contract
    names = [term.name for term in contract.observations]
    assert names == ["actions", "base_ang_vel", "joint_pos", "joint_vel", "command", "motion_anchor_ori_b"]
    assert contract.reference == "embedded" and contract.stiffness[3] == 99.098 and contract.action.scale[28] == 0.075
    assert contract.action.default_joint_pos[0] == pytest.approx(-0.312)
    for key in ("observation_names", "default_joint_pos"):
        assert any(f"'{key}' is missing, assumed" in warning for warning in bundle.warnings)


def test_unitree_rl_labs_deploy_yaml_beside_the_policy_is_read(tmp_path):
    bundle = Bundle.read(write_unitree_rl_lab(tmp_path))
    contract = bundle.contract
    assert contract.action.joint_names == ISAAC_JOINT_NAMES
    assert contract.stiffness[KNEE] == 99.1 and contract.damping[WRIST] == 1.07  # motor order in the file
    assert contract.action.default_joint_pos[KNEE] == 0.669 and contract.action.scale[WRIST] == 0.075
    assert [term.name for term in contract.observations][0] == "command"
    assert any("deploy.yaml" in warning for warning in bundle.warnings)


def test_what_a_file_lacks_may_stand_in_a_yaml_beside_it(tmp_path):
    path = write(tmp_path / "x.onnx", foreign(observation_names=None, joint_damping=None))
    with pytest.raises(BundleError, match="'observation_names'"):
        Bundle.read(path)
    beside = {
        "observation_names": "command,motion_anchor_ori_b,base_ang_vel,joint_pos,joint_vel,actions",
        "joint_damping": [2.0] * 29,
        "joint_stiffness": [1.0] * 29,
    }
    path.with_suffix(".yaml").write_text(yaml.safe_dump(beside))
    contract = Bundle.read(path).contract
    assert contract.damping == (2.0,) * 29 and contract.stiffness[KNEE] == 99.098  # the file's own word goes first


def test_projected_gravity_is_a_term_of_foreign_policies(tmp_path):
    names = "command,projected_gravity,base_ang_vel,joint_pos,joint_vel,actions"
    metadata = foreign(observation_names=names)
    contract = Bundle.read(write(tmp_path / "x.onnx", metadata, num_inputs=151)).contract
    assert contract.observations[1].dim == 3


DEPLOY_REFUSALS = {
    "23 joints": ({"joint_ids_map": list(range(23))}, "joint_ids_map has 23 joints"),
    "other rate": ({"step_dt": 0.01}, "step_dt is 0.01 s"),
    "missing gains": ({"stiffness": None}, "key 'stiffness' is missing"),
    "short gains": ({"damping": [1.0]}, "damping has 1 numbers for 29 joints"),
    "two actions": ({"actions": {"a": {}, "b": {}}}, "actions are a, b; JointPositionAction alone expected"),
    "velocities": ({"actions": {"JointVelocityAction": {}}}, "actions are JointVelocityAction; JointPositionAction"),
    "other pose": ({"default_joint_pos": [0.1] * 29}, "JointPositionAction has another offset than default_joint_pos"),
    "no pose": ({"default_joint_pos": ["a"] * 29}, "JointPositionAction has another offset than default_joint_pos"),
    "joints as text": ({"joint_ids_map": ["0"] * 29}, "joint_ids_map has 29 joints, each of"),
    "no list": ({"stiffness": 40.0}, "key 'stiffness' must be a list"),
    "no rate": ({"step_dt": "fast"}, "step_dt is fast s"),
    "nothing about a term": ({"observations": {"command": 1.0}}, "observation term 'command' must be a mapping"),
    "velocity task": (
        {"observations": {"velocity_commands": {"scale": None}}},
        "observation term 'velocity_commands' is unknown",
    ),
}


@pytest.mark.parametrize("case", DEPLOY_REFUSALS)
def test_an_unclear_deploy_yaml_is_refused(tmp_path, case):
    changes, message = DEPLOY_REFUSALS[case]
    document = {key: value for key, value in (deploy_document() | changes).items() if value is not None}
    with pytest.raises(BundleError, match=message):
        Bundle.read(write_unitree_rl_lab(tmp_path, document))


def test_a_deploy_yaml_with_a_doubled_key_is_refused_in_one_line(tmp_path):
    path = write_unitree_rl_lab(tmp_path)
    deploy = tmp_path / "params" / "deploy.yaml"
    deploy.write_text(deploy.read_text() + "\nstep_dt: 0.02\nstep_dt: 0.02\n")
    with pytest.raises(BundleError, match=r"deploy\.yaml: .*key 'step_dt' twice") as caught:
        Bundle.read(path)
    assert "\n" not in str(caught.value)


def test_a_yaml_beside_a_policy_with_a_doubled_key_is_refused_in_one_line(tmp_path):
    path = write(tmp_path / "x.onnx", foreign(joint_damping=None))
    path.with_suffix(".yaml").write_text("joint_damping: 1.0\njoint_damping: 2.0\n")
    with pytest.raises(BundleError, match=r"x\.yaml: .*key 'joint_damping' twice") as caught:
        Bundle.read(path)
    assert "\n" not in str(caught.value)


def test_clipped_observations_and_mixed_scales_are_refused(tmp_path):
    clip = mjlab_entries() | {"observation_terms_clip": ",".join(["-inf;inf"] * 7 + ["-1.000;1.000"])}
    with pytest.raises(BundleError, match="an observation term is clipped"):
        Bundle.read(write_wbt(tmp_path / "x.onnx", entries=clip))
    scale = mjlab_entries() | {"observation_terms_scale": ",".join(["1.0"] * 7 + ["1.000;2.000"])}
    with pytest.raises(BundleError, match="'observation_terms_scale' scales the numbers of one term differently"):
        Bundle.read(write_wbt(tmp_path / "y.onnx", entries=scale))


def test_what_old_exporters_left_out_is_assumed_aloud(tmp_path):
    metadata = foreign(anchor_body_name=None, body_names=None, observation_history_lengths=None)
    bundle = Bundle.read(write(tmp_path / "x.onnx", metadata))
    assert bundle.contract.anchor_body == "torso_link" and len(bundle.contract.body_names) == 14
    for key in ("anchor_body_name", "body_names", "observation_history_lengths"):
        assert any(f"'{key}' is missing" in warning for warning in bundle.warnings)


def test_old_term_names_and_one_scale_for_all_joints_are_understood(tmp_path):
    names = "command,motion_ref_pos_b,motion_ref_ori_b,base_lin_vel,base_ang_vel,joint_pos,joint_vel,actions"
    metadata = foreign(observation_names=names, observation_history_lengths=None, action_scale="0.5")
    bundle = Bundle.read(write(tmp_path / "x.onnx", metadata, num_inputs=160))
    assert [t.name for t in bundle.contract.observations][1:3] == ["motion_anchor_pos_b", "motion_anchor_ori_b"]
    assert bundle.contract.action.scale == (0.5,) * 29
    assert any("centre of mass" in warning for warning in bundle.warnings)


def test_other_gains_are_reported_rounded_ones_are_not(tmp_path):
    path = tmp_path / "x.onnx"
    assert not any("gains" in warning for warning in Bundle.read(write(path, foreign())).warnings)
    stiff = foreign(joint_stiffness=",".join(column(0)).replace("99.098", "150.000"))
    assert any(
        "gains differ" in warning and "4 joints, first left_hip_roll_joint" in warning
        for warning in Bundle.read(write(path, stiff)).warnings
    )


REFUSALS = {
    "no metadata": (dict.fromkeys(foreign()), "no bm.contract and no metadata 'joint_names'"),
    "observations of another policy": ({"observation_names": "command,actions"}, "'observation_history_lengths' has 6"),
    "unknown term": (
        {"observation_names": "command,motion_anchor_ori_b,base_ang_vel,joint_pos,joint_vel,gait_phase"},
        "observation term 'gait_phase' is unknown",
    ),
    "23 joints": ({"joint_names": ",".join(ISAAC_JOINT_NAMES[:23])}, "has 29 numbers, 23 expected"),
    "another robot": ({"joint_names": ",".join(column(0))}, "joint '40.179' is not one of"),
    "words for numbers": ({"joint_damping": "stiff"}, "'joint_damping' holds 'stiff', numbers expected"),
    "nan": ({"action_scale": "nan"}, "'action_scale' holds NaN"),
    "negative damping": ({"joint_damping": "-1.0"}, "damping of left_hip_pitch_joint is -1.0"),
    "unknown anchor": ({"anchor_body_name": "robot_torso"}, "body 'robot_torso' is not one of"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_unclear_metadata_is_refused(tmp_path, case):
    changes, message = REFUSALS[case]
    with pytest.raises(BundleError, match=message):
        Bundle.read(write(tmp_path / "x.onnx", foreign(**changes)))


def test_a_160_input_network_on_154_observations_is_refused(tmp_path):
    """The accident that wrecked a G1: reading past the end of the observation."""
    with pytest.raises(BundleError, match="graph input 'obs' has 160 numbers, the observation terms have 154"):
        Bundle.read(write(tmp_path / "x.onnx", foreign(), num_inputs=160))


def test_a_foreign_network_must_give_finite_actions(tmp_path):
    bundle = Bundle.read(write(tmp_path / "x.onnx", foreign()))
    with pytest.raises(BundleError, match="action of left_hip_pitch_joint is not finite"):
        bundle.prove(lambda obs: np.full(29, np.nan, dtype=np.float32))
