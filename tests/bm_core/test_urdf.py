"""The URDF against the MJCF that it is made from, with MuJoCo, which reads both, as judge."""

from xml.etree import ElementTree

import numpy as np
import pytest

from bm_core.g1 import G1, mjcf_path
from bm_core.urdf import g1_urdf

mujoco = pytest.importorskip("mujoco", reason="the sim extra is not installed")


@pytest.fixture(scope="module")
def models():
    """(MJCF, URDF); MuJoCo welds a URDF's root to the world."""
    return mujoco.MjModel.from_xml_path(str(mjcf_path())), mujoco.MjModel.from_xml_string(g1_urdf())


def test_every_link_is_where_the_mjcf_puts_it(models):
    mjcf, urdf = models
    random = np.random.default_rng(5)
    for _ in range(5):
        q = random.uniform(G1.lower, G1.upper)
        poses = []
        for model in (mjcf, urdf):
            data = mujoco.MjData(model)
            for name, angle in zip(G1.joint_names, q, strict=True):
                data.qpos[model.joint(name).qposadr[0]] = angle
            if model is mjcf:
                data.qpos[:7] = (0, 0, 0, 1, 0, 0, 0)
            mujoco.mj_kinematics(model, data)
            poses.append([np.r_[data.body(n).xpos, data.body(n).xmat] for n in G1.body_names[1:]])
        np.testing.assert_allclose(poses[1], poses[0], atol=1e-9)


def test_masses_and_inertias_are_those_of_the_mjcf(models):
    mjcf, urdf = models
    for name in G1.body_names[1:]:
        assert urdf.body(name).mass == pytest.approx(mjcf.body(name).mass)
        np.testing.assert_allclose(np.sort(urdf.body(name).inertia), np.sort(mjcf.body(name).inertia), rtol=1e-6)
        np.testing.assert_allclose(urdf.body(name).ipos, mjcf.body(name).ipos, atol=1e-9)


def test_frames_of_rep_120_and_the_imu_are_there():
    robot = ElementTree.fromstring(g1_urdf())
    joints = {joint.find("child").get("link"): joint for joint in robot.findall("joint")}
    assert joints["pelvis"].find("parent").get("link") == "base_link"
    assert joints["imu_in_pelvis"].find("origin").get("xyz") == "0.04525 0 -0.08339"
    # Soles: capsules of 1 cm radius, 25 mm below the ankle.
    assert float(joints["l_sole"].find("origin").get("xyz").split()[2]) == pytest.approx(-0.035)
    assert joints["r_sole"].find("parent").get("link") == "right_ankle_roll_link"


def test_limits_are_those_of_the_motors():
    knee = next(j for j in ElementTree.fromstring(g1_urdf()).findall("joint") if j.get("name") == "left_knee_joint")
    limit = {key: float(value) for key, value in knee.find("limit").attrib.items()}
    assert limit == {"lower": -0.087267, "upper": 2.8798, "effort": 139.0, "velocity": 20.0}


def test_urdf_is_one_tree():
    robot = ElementTree.fromstring(g1_urdf())
    links = [link.get("name") for link in robot.findall("link")]
    children = [joint.find("child").get("link") for joint in robot.findall("joint")]
    assert len(links) == len(set(links)) and len(children) == len(links) - 1
    assert set(links) - set(children) == {"base_link"}
