"""The robot's constants against the published table and, where the wheel is installed, against mjlab's model."""

import importlib.util
from pathlib import Path

import mujoco
import numpy as np
import pytest

from bm_core.g1 import END_EFFECTORS, G1, TARGET_BODIES, mjcf_path

# joint, armature kg m^2, effort N m, velocity rad/s, kp, kd, action scale: reference table 1.5 of the fact sheet,
# not g1.py, which could only agree with itself.
MOTORS = [
    ("left_hip_pitch_joint", (0.010177520, 88.0, 32.0, 40.1792, 2.5579, 0.54755)),
    ("right_hip_yaw_joint", (0.010177520, 88.0, 32.0, 40.1792, 2.5579, 0.54755)),
    ("waist_yaw_joint", (0.010177520, 88.0, 32.0, 40.1792, 2.5579, 0.54755)),
    ("right_hip_roll_joint", (0.025101925, 139.0, 20.0, 99.0984, 6.3088, 0.35066)),
    ("left_knee_joint", (0.025101925, 139.0, 20.0, 99.0984, 6.3088, 0.35066)),
    ("left_ankle_pitch_joint", (0.007219450, 50.0, 37.0, 28.5013, 1.8145, 0.43858)),
    ("waist_roll_joint", (0.007219450, 50.0, 37.0, 28.5013, 1.8145, 0.43858)),
    ("right_shoulder_yaw_joint", (0.003609725, 25.0, 37.0, 14.2506, 0.9072, 0.43858)),
    ("left_wrist_roll_joint", (0.003609725, 25.0, 37.0, 14.2506, 0.9072, 0.43858)),
    ("left_wrist_yaw_joint", (0.00425, 5.0, 22.0, 16.7783, 1.0681, 0.07450)),
]


@pytest.mark.parametrize("name, numbers", MOTORS)
def test_motor_numbers_match_the_published_table(name, numbers):
    joint = G1.joint(name)
    found = (joint.armature, joint.effort, joint.velocity, joint.kp, joint.kd, joint.action_scale)
    assert found == pytest.approx(numbers, rel=1e-4)


def test_default_pose_bends_the_knees_and_spreads_the_arms():
    expected = {"hip_pitch": -0.312, "knee": 0.669, "ankle_pitch": -0.363, "shoulder_pitch": 0.2, "elbow": 0.6}
    for joint in G1.joints:
        part = joint.name.removeprefix("left_").removeprefix("right_").removesuffix("_joint")
        if part == "shoulder_roll":
            assert joint.default_pos == (0.2 if joint.name.startswith("left") else -0.2)
        else:
            assert joint.default_pos == expected.get(part, 0.0), joint.name


def test_joint_and_body_order_is_that_of_the_mjcf():
    model = mujoco.MjModel.from_xml_path(str(mjcf_path()))
    assert tuple(model.joint(i).name for i in range(1, model.njnt)) == G1.joint_names
    assert tuple(model.body(i).name for i in range(1, model.nbody)) == G1.body_names
    assert len(G1.joint_names) == 29 and len(G1.body_names) == 30


def test_mjcf_carries_the_armature_and_the_ranges_of_the_constants():
    model = mujoco.MjModel.from_xml_path(str(mjcf_path()))
    np.testing.assert_allclose(model.dof_armature[6:], G1.armature, atol=1e-9)
    np.testing.assert_allclose(model.jnt_range[1:], np.stack([G1.lower, G1.upper], axis=1), atol=1e-6)


def test_total_mass_is_that_of_the_published_robot():
    model = mujoco.MjModel.from_xml_path(str(mjcf_path()))
    assert model.body_mass.sum() == pytest.approx(33.341, abs=1e-3)


def test_soles_are_35_mm_below_the_ankle_and_seven_capsules_each():
    model = mujoco.MjModel.from_xml_path(str(mjcf_path()))
    for side in ("left", "right"):
        soles = [model.geom(f"{side}_foot{i}_collision") for i in range(1, 8)]
        for sole in soles:
            assert sole.pos[2] - sole.size[0] == pytest.approx(-0.035)


def test_targets_and_end_effectors_are_bodies_of_the_robot():
    assert len(set(TARGET_BODIES)) == 14
    assert set(END_EFFECTORS) <= set(TARGET_BODIES) <= set(G1.body_names)


def _peer_xml() -> Path | None:
    spec = importlib.util.find_spec("mjlab")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "asset_zoo" / "robots" / "unitree_g1" / "xmls" / "g1.xml"


@pytest.fixture(scope="module")
def peer() -> mujoco.MjModel:
    path = _peer_xml()
    if path is None or not path.exists():
        pytest.skip("mjlab's wheel is not installed here: nothing to compare the model with")
    return mujoco.MjModel.from_xml_path(str(path))


@pytest.mark.parametrize(
    "field",
    ["body_mass", "body_inertia", "body_ipos", "body_iquat", "body_pos", "body_quat", "jnt_axis", "jnt_range"],
)
def test_model_equals_the_one_in_mjlabs_wheel(peer, field):
    ours = mujoco.MjModel.from_xml_path(str(mjcf_path()))
    np.testing.assert_allclose(getattr(ours, field), getattr(peer, field), atol=1e-6)
