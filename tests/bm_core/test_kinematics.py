"""Kinematics against MuJoCo, which shares no code with it."""

import mujoco
import numpy as np
import pytest

from bm_core.errors import RobotError
from bm_core.g1 import G1, mjcf_path
from bm_core.kinematics import KinematicTree, g1_kinematics


@pytest.fixture(scope="module")
def mj() -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = mujoco.MjModel.from_xml_path(str(mjcf_path()))
    return model, mujoco.MjData(model)


def _random_state(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    quat = rng.normal(size=4)
    qpos = np.concatenate([rng.normal(size=3), quat / np.linalg.norm(quat), rng.uniform(G1.lower, G1.upper)])
    return qpos, rng.normal(size=35)


@pytest.mark.parametrize("seed", range(20))
def test_link_poses_equal_mujocos(mj, seed):
    model, data = mj
    data.qpos[:], _ = _random_state(seed)
    mujoco.mj_kinematics(model, data)
    pos, quat = g1_kinematics().forward(data.qpos[:3], data.qpos[3:7], data.qpos[7:])
    np.testing.assert_allclose(pos, data.xpos[1:], atol=1e-9)
    np.testing.assert_allclose(np.abs(np.sum(quat * data.xquat[1:], axis=-1)), 1.0, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_link_velocities_equal_mujocos(mj, seed):
    model, data = mj
    data.qpos[:], data.qvel[:] = _random_state(seed)
    mujoco.mj_forward(model, data)
    tree = g1_kinematics()
    pos, quat = tree.forward(data.qpos[:3], data.qpos[3:7], data.qpos[7:])
    root_ang_vel_w = data.xmat[1].reshape(3, 3) @ data.qvel[3:6]  # MuJoCo keeps a free joint's spin in the body frame
    lin, ang = tree.velocities(data.qvel[:3], root_ang_vel_w, data.qvel[6:], pos, quat)
    twist = np.zeros(6)
    for index in range(30):
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, index + 1, twist, 0)
        np.testing.assert_allclose(ang[index], twist[:3], atol=1e-9)
        np.testing.assert_allclose(lin[index], twist[3:], atol=1e-9)


def test_one_body_pose_equals_the_whole_tree_and_batches():
    rng = np.random.default_rng(0)
    tree = g1_kinematics()
    root_pos, joint_pos = rng.normal(size=(5, 2, 3)), rng.uniform(G1.lower, G1.upper, size=(5, 2, 29))
    root_quat = rng.normal(size=(5, 2, 4))
    root_quat /= np.linalg.norm(root_quat, axis=-1, keepdims=True)
    pos, quat = tree.forward(root_pos, root_quat, joint_pos)
    for name in ("torso_link", "left_wrist_yaw_link", "pelvis"):
        one_pos, one_quat = tree.body_pose(name, root_pos, root_quat, joint_pos)
        np.testing.assert_allclose(one_pos, pos[..., G1.body_index[name], :], atol=1e-12)
        np.testing.assert_allclose(one_quat, quat[..., G1.body_index[name], :], atol=1e-12)


def test_names_are_those_of_the_constants():
    assert g1_kinematics().joint_names == G1.joint_names
    assert g1_kinematics().body_names == G1.body_names


def test_a_tree_with_two_hinges_on_a_link_is_refused(tmp_path):
    path = tmp_path / "two.xml"
    path.write_text(
        '<mujoco><worldbody><body name="a"><freejoint/><body name="b"><joint name="x" axis="1 0 0"/>'
        '<joint name="y" axis="0 1 0"/></body></body></worldbody></mujoco>'
    )
    with pytest.raises(RobotError, match="body b has 2 joints"):
        KinematicTree.from_mjcf(path)
