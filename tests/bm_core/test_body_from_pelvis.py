"""The pose of links against MuJoCo, and heights against poses."""

from types import SimpleNamespace

import mujoco
import numpy as np
import pytest

from bm_core.body_from_pelvis import BodyFromPelvis
from bm_core.g1 import mjcf_path
from bm_core.kinematics import Link
from bm_core.state import RobotState


def test_torso_pose_equals_mujocos():
    model = mujoco.MjModel.from_xml_path(str(mjcf_path()))
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    for _ in range(5):
        quat = rng.normal(size=4)
        zeros = np.zeros(29)
        robot = RobotState(
            seq=0,
            time=0.0,
            joint_pos=rng.uniform(-0.5, 0.5, 29),
            joint_vel=zeros,
            joint_torque=zeros,
            pelvis_quat_w=quat / np.linalg.norm(quat),
            pelvis_gyro_b=np.zeros(3),
            pelvis_acc_b=np.zeros(3),
            pelvis_pos_w=rng.normal(size=3),
        )
        data.qpos[:] = np.concatenate([robot.pelvis_pos_w, robot.pelvis_quat_w, robot.joint_pos])
        mujoco.mj_kinematics(model, data)
        for body in ("torso_link", "right_wrist_yaw_link"):
            pos, found = BodyFromPelvis(body).world_pose(robot)
            np.testing.assert_allclose(pos, data.body(body).xpos, atol=1e-9)
            assert abs(found @ data.body(body).xquat) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("body", ["torso_link", "left_ankle_roll_link", "right_wrist_yaw_link"])
def test_a_height_is_the_position_along_up(body):
    rng = np.random.default_rng(1)
    for _ in range(20):
        joints, up = rng.uniform(-1.0, 1.0, 29), rng.normal(size=3)
        chain = BodyFromPelvis(body)
        assert chain.along(up.tolist(), joints) == pytest.approx(float(up @ chain.relative(joints)[0]), abs=1e-12)


def test_a_height_over_joints_with_slanted_axes():
    """The G1 has none; a robot with them takes the general formula."""
    slanted = np.array([0.6, 0.0, 0.8])
    pos, turn = np.array([0.1, 0.2, 0.3]), np.array([1.0, 0.0, 0.0, 0.0])
    links = [Link(name="", parent=-1, pos=pos, quat=turn, joint=joint, axis=slanted) for joint in (0, 1)]
    chain = BodyFromPelvis("", SimpleNamespace(chain=lambda body: links))
    joints = np.array([0.4, -0.7])
    assert chain.along([0.0, 0.0, 1.0], joints) == pytest.approx(chain.relative(joints)[0][2], abs=1e-12)
