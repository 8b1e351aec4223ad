"""map -> odom out of poses from outside, on a node that only keeps what it is given."""

import math

import numpy as np
import pytest
from bm_g1_bridge.map_frame import MapFrame, fix_of
from bm_g1_bridge.publishers import time_message
from geometry_msgs.msg import PoseWithCovarianceStamped

from bm_core.state import RobotState

ZERO = np.zeros(29)


class KeepingNode:
    """Stands for the node: publishers keep their messages, the log its lines."""

    def __init__(self):
        self.published, self.said = [], []

    def get_logger(self):
        return self

    def warning(self, text, **_):
        self.said.append(text)

    def create_lifecycle_publisher(self, *_):
        return self

    def publish(self, message):
        self.published += message.transforms

    def create_subscription(self, *_, **__):
        pass


@pytest.fixture
def node():
    return KeepingNode()


@pytest.fixture
def frame(node):
    return MapFrame(node, map_frame="map", odom_frame="odom", group=None)


def reading(x):
    """The estimate says: at (x, 0, 0.8), looking along x."""
    return RobotState(
        seq=1, time=0.0, joint_pos=ZERO, joint_vel=ZERO, joint_torque=ZERO, pelvis_quat_w=np.array([1.0, 0, 0, 0]),
        pelvis_gyro_b=np.zeros(3), pelvis_acc_b=np.zeros(3), pelvis_pos_w=np.array([x, 0.0, 0.8]),
        pelvis_lin_vel_b=np.zeros(3),
    )  # fmt: skip


def pose(time, x, y, yaw, frame="map"):
    message = PoseWithCovarianceStamped()
    message.header.frame_id, message.header.stamp = frame, time_message(time)
    position, orientation = message.pose.pose.position, message.pose.pose.orientation
    position.x, position.y, position.z = x, y, 0.8
    orientation.w, orientation.z = math.cos(yaw / 2), math.sin(yaw / 2)
    return message


def walk(frame, seconds, *, begin=0.0):
    """Along x of odom at 1 m/s."""
    for k in range(round(seconds / 0.02)):
        time = begin + 0.02 * k
        frame.publish(reading(time), 0, time_message(time))


def test_the_first_pose_is_believed_however_far_off_and_late(frame, node):
    walk(frame, 2.0)
    assert not node.published
    frame.on_pose(pose(1.5, 10.0, 5.0, math.pi / 2))
    walk(frame, 0.1, begin=2.0)
    transform = node.published[-1]
    assert (transform.header.frame_id, transform.child_frame_id) == ("map", "odom")
    t, r = transform.transform.translation, transform.transform.rotation
    # At 1.5 s the estimate was at x = 1.5: turned to y, and moved there.
    assert (t.x, t.y, t.z) == pytest.approx((10.0, 3.5, 0.0), abs=1e-6)
    assert 2 * math.atan2(r.z, r.w) == pytest.approx(math.pi / 2)


def test_later_poses_move_it_by_what_may_have_drifted(frame, node):
    walk(frame, 1.0)
    frame.on_pose(pose(0.9, 0.9, 0.0, 0.0))
    walk(frame, 20.0, begin=1.0)
    frame.on_pose(pose(20.5, 20.4, 0.0, 0.0))
    walk(frame, 0.1, begin=21.0)
    assert -0.1 < node.published[-1].transform.translation.x < -0.08


def test_poses_of_another_frame_or_moment_are_not_used_and_said_so(frame, node):
    walk(frame, 2.0)
    frame.on_pose(pose(1.5, 0.0, 0.0, 0.0, frame="odom"))
    frame.on_pose(pose(0.5, 0.0, 0.0, 0.0))
    frame.on_pose(pose(1.5, math.nan, 0.0, 0.0))
    walk(frame, 0.1, begin=2.0)
    assert not node.published and len(node.said) == 3 and "'odom', not 'map'" in node.said[0]


def test_an_estimate_that_begins_anew_needs_a_new_pose(frame, node):
    walk(frame, 1.0)
    frame.on_pose(pose(0.9, 0.9, 0.0, 0.0))
    frame.publish(reading(0.0), 1, time_message(1.0))
    assert not node.published
    frame.on_pose(pose(1.0, 4.0, 0.0, 0.0))
    frame.publish(reading(0.0), 1, time_message(1.02))
    assert node.published[-1].transform.translation.x == pytest.approx(4.0)


def test_a_covariance_of_zero_says_nothing():
    message = pose(0.0, 0.0, 0.0, 0.3)
    assert (fix_of(message).pos_sigma, fix_of(message).yaw) == (pytest.approx(0.03), pytest.approx(0.3))
    message.pose.covariance[7], message.pose.covariance[35] = 0.04, 1e-12
    assert (fix_of(message).pos_sigma, fix_of(message).yaw_sigma) == (pytest.approx(0.2), pytest.approx(1e-3))
