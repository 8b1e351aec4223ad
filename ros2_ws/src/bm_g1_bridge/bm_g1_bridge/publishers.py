"""Readings of the bridge as messages: one object a topic, filled again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from bm_msgs.msg import RobotState as RobotStateMessage
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, JointState, Joy
from tf2_msgs.msg import TFMessage

from bm_core.g1 import G1
from bm_core.state import RobotState
from bm_core.urdf import BASE_FRAME
from bm_g1_bridge import topics
from bm_sim2real.robots.unitree.remote import Remote
from bm_sim2real.ros_support.diagnostics import Diagnosis
from bm_sim2real.ros_support.messages import (
    doubles,
    fill_robot_state,
    floats,
    odometry_covariances,
    set_quaternion,
    set_vector,
)

IMU_FRAME = "imu_in_pelvis"


class ReadingPublishers:
    """/robot_state and /imu/pelvis each reading, /joint_states, /odom and TF less often."""

    def __init__(self, node: LifecycleNode, *, odom_frame: str, has_tf: bool) -> None:
        self._has_tf = has_tf
        self._state = RobotStateMessage()
        self._state.header.frame_id = IMU_FRAME
        self._imu = Imu()
        self._imu.header.frame_id = IMU_FRAME
        self._joints = JointState()
        self._joints.name = list(G1.joint_names)
        self._odom = Odometry()
        self._odom.header.frame_id, self._odom.child_frame_id = odom_frame, BASE_FRAME
        self._transform = TransformStamped()
        self._transform.header.frame_id, self._transform.child_frame_id = odom_frame, BASE_FRAME
        create = node.create_lifecycle_publisher
        self._state_pub = create(RobotStateMessage, topics.ROBOT_STATE, topics.sensor())
        self._imu_pub = create(Imu, "imu/pelvis", topics.sensor())
        self._joints_pub = create(JointState, "joint_states", topics.record(10))
        self._odom_pub = create(Odometry, "odom", topics.record(10))
        self._tf_pub = create(TFMessage, "/tf", topics.record(100))

    def publish_reading(
        self, state: RobotState, temperature: NDArray[np.float32], status: Mapping[str, Any], stamp: Time
    ) -> None:
        """The whole reading; `temperature` (29,) degC, `status` as BridgeClient.status()."""
        message = self._state
        message.header.stamp = stamp
        fill_robot_state(message, state)
        message.temperature = floats(temperature)
        fault = status.get("fault")
        message.mode, message.is_armed = status.get("mode", ""), status.get("is_armed", False)
        message.fault = f"{fault['name']}: {fault['detail']}" if fault else ""
        message.holds = status.get("holds", [])
        self._state_pub.publish(message)
        imu = self._imu
        imu.header.stamp = stamp
        set_quaternion(imu.orientation, state.pelvis_quat_w)
        set_vector(imu.angular_velocity, state.pelvis_gyro_b)
        set_vector(imu.linear_acceleration, state.pelvis_acc_b)
        self._imu_pub.publish(imu)

    def publish_joints(self, state: RobotState, stamp: Time) -> None:
        """For robot_state_publisher and everything that draws."""
        message = self._joints
        message.header.stamp = stamp
        message.position, message.velocity = doubles(state.joint_pos), doubles(state.joint_vel)
        message.effort = doubles(state.joint_torque)
        self._joints_pub.publish(message)

    def publish_base(self, state: RobotState, covariance: NDArray[np.float64], stamp: Time) -> None:
        """Odometry while the estimate is healthy; TF always, at the origin without one.

        `covariance` (6, 6) of position and velocity, world frame.
        """
        has_base = state.pelvis_pos_w is not None and state.pelvis_lin_vel_b is not None
        if has_base:
            odom = self._odom
            odom.header.stamp = stamp
            set_vector(odom.pose.pose.position, state.pelvis_pos_w)
            set_quaternion(odom.pose.pose.orientation, state.pelvis_quat_w)
            set_vector(odom.twist.twist.linear, state.pelvis_lin_vel_b)
            set_vector(odom.twist.twist.angular, state.pelvis_gyro_b)
            odom.pose.covariance, odom.twist.covariance = odometry_covariances(state.pelvis_quat_w, covariance)
            self._odom_pub.publish(odom)
        if self._has_tf:
            transform = self._transform
            transform.header.stamp = stamp
            if has_base:
                set_vector(transform.transform.translation, state.pelvis_pos_w)
            set_quaternion(transform.transform.rotation, state.pelvis_quat_w)
            self._tf_pub.publish(TFMessage(transforms=[transform]))


class RemotePublisher:
    """The robot's own remote as a gamepad: buttons in the order of its bits, axes left x, y, right x, y."""

    def __init__(self, node: LifecycleNode) -> None:
        self._publisher = node.create_lifecycle_publisher(Joy, "joy", topics.record(1))

    def publish(self, remote: Remote, stamp: Time) -> None:
        """As often as readings of the joints."""
        message = Joy()
        message.header.stamp = stamp
        message.axes = floats([remote.left_x, remote.left_y, remote.right_x, remote.right_y])
        message.buttons = [int(bool(remote.buttons & 1 << bit)) for bit in range(16)]
        self._publisher.publish(message)


class ClockPublisher:
    """/clock of the simulated robot."""

    def __init__(self, node: LifecycleNode) -> None:
        self._publisher = node.create_lifecycle_publisher(Clock, "/clock", topics.sensor())

    def publish(self, robot_time: float) -> None:
        """`robot_time` in s."""
        self._publisher.publish(Clock(clock=time_message(robot_time)))


def time_message(seconds: float) -> Time:
    """As builtin_interfaces/Time."""
    whole = int(seconds)
    return Time(sec=whole, nanosec=int(1e9 * (seconds - whole)))


def diagnostic_array(diagnoses: list[Diagnosis], stamp: Time, hardware_id: str) -> DiagnosticArray:
    """All of them in one message."""
    message = DiagnosticArray()
    message.header.stamp = stamp
    for diagnosis in diagnoses:
        status = DiagnosticStatus(
            level=bytes([diagnosis.level]),
            name=diagnosis.name,
            message=diagnosis.message,
            hardware_id=hardware_id,
            values=[KeyValue(key=key, value=value) for key, value in diagnosis.values.items()],
        )
        message.status.append(status)
    return message
