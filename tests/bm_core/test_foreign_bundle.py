"""Policies of whole_body_tracking and mjlab load by their own metadata; what they cannot promise is listed."""

import numpy as np
import pytest
from tiny_bundle import network, save, session

from bm_core.bundle import Bundle
from bm_core.errors import BundleError
from bm_core.joint_order import ISAAC_JOINT_NAMES

# Three decimals, breadth-first: what whole_body_tracking writes. Gains and scales: reference sheet 1.5.
KNEE, WRIST = ISAAC_JOINT_NAMES.index("left_knee_joint"), ISAAC_JOINT_NAMES.index("left_wrist_yaw_joint")
GROUPS = {
    ("hip_pitch", "hip_yaw", "waist_yaw"): ("40.179", "2.558", "0.548"),
    ("hip_roll", "knee"): ("99.098", "6.309", "0.351"),
    ("ankle", "waist_roll", "waist_pitch"): ("28.501", "1.814", "0.439"),
    ("shoulder", "elbow", "wrist_roll"): ("14.251", "0.907", "0.439"),
    ("wrist_pitch", "wrist_yaw"): ("16.778", "1.068", "0.075"),
}
DEFAULTS = {
    "hip_pitch": "-0.312",
    "knee": "0.669",
    "ankle_pitch": "-0.363",
    "shoulder_pitch": "0.200",
    "elbow": "0.600",
}
DEFAULTS |= {"left_shoulder_roll": "0.200", "right_shoulder_roll": "-0.200"}


def column(index: int) -> str:
    rows = [next(v for keys, v in GROUPS.items() if any(key in name for key in keys)) for name in ISAAC_JOINT_NAMES]
    return ",".join(row[index] for row in rows)


def foreign(**changes: str | None) -> dict[str, str]:
    metadata: dict[str, str | None] = {
        "run_path": "team/project/run",
        "joint_names": ",".join(ISAAC_JOINT_NAMES),
        "joint_stiffness": column(0),
        "joint_damping": column(1),
        "default_joint_pos": ",".join(
            next((v for key, v in DEFAULTS.items() if key in name), "0.000") for name in ISAAC_JOINT_NAMES
        ),
        "command_names": "motion",
        "observation_names": "command,motion_anchor_ori_b,base_ang_vel,joint_pos,joint_vel,actions",
        "observation_history_lengths": "1.000,1.000,1.000,1.000,1.000,0.000",
        "action_scale": column(2),
        "anchor_body_name": "torso_link",
        "body_names": "pelvis,torso_link",
        **changes,
    }
    return {key: value for key, value in metadata.items() if value is not None}


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
    bundle = Bundle.read(write(tmp_path / "x.onnx", foreign(), embedded=True))
    assert bundle.contract.reference == "embedded"
    assert [tensor.name for tensor in bundle.model.inputs] == ["obs", "time_step"]


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
    stiff = foreign(joint_stiffness=column(0).replace("99.098", "150.000"))
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
    "another robot": ({"joint_names": column(0)}, "joint '40.179' is not one of"),
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
