"""Poses from outside (LiDAR odometry, motion capture) keep map -> odom; odom stays the estimate's, without jumps."""

from __future__ import annotations

import math

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode
from tf2_msgs.msg import TFMessage

from bm_core import rotations_single as single
from bm_core.state import RobotState
from bm_g1_bridge import topics
from bm_sim2real.estimator.odometry import OdometryCorrection, OdometryFix
from bm_sim2real.ros_support.messages import set_quaternion, set_vector

_LEAST_SIGMA = 1e-3
"""m and rad: a source that claims no error at all is not believed so far."""


class MapFrame:
    """/external_pose in: base_link in the map, stamped with the moment it was taken. map -> odom out, on /tf.

    Nothing is published before the first pose. All calls come from one callback group.
    """

    def __init__(self, node: LifecycleNode, *, map_frame: str, odom_frame: str, group: CallbackGroup) -> None:
        self._log, self._frame = node.get_logger(), map_frame
        self.correction = OdometryCorrection()
        self._has_begun, self._resets, self._time = False, -1, -math.inf
        self._transform = TransformStamped()
        self._transform.header.frame_id, self._transform.child_frame_id = map_frame, odom_frame
        self._tf_pub = node.create_lifecycle_publisher(TFMessage, "/tf", topics.record(100))
        node.create_subscription(
            PoseWithCovarianceStamped, topics.EXTERNAL_POSE, self.on_pose, topics.record(10), callback_group=group
        )

    def publish(self, state: RobotState, resets: int, stamp: Time) -> None:
        """One reading with its estimate, if it has one; `resets` counts how often the estimate began anew."""
        time = _seconds(stamp)
        if resets != self._resets or time < self._time:
            self.correction.reset()
            self._has_begun, self._resets = False, resets
        if state.pelvis_pos_w is not None and time > self._time:
            position, quat = (np.asarray(a, dtype=np.float64) for a in (state.pelvis_pos_w, state.pelvis_quat_w))
            self.correction.record(time, position, quat)
        self._time = time
        if not self._has_begun:
            return
        transform = self._transform
        transform.header.stamp = stamp
        set_vector(transform.transform.translation, self.correction.shift)
        turn = single.from_axis_angle((0.0, 0.0, 1.0), self.correction.turn)
        set_quaternion(transform.transform.rotation, turn)
        self._tf_pub.publish(TFMessage(transforms=[transform]))

    def on_pose(self, message: PoseWithCovarianceStamped) -> None:
        """The first pose is believed wholly, later ones as far as their covariance and the drift since allow."""
        if message.header.frame_id != self._frame:
            self._say(f"its frame is {message.header.frame_id!r}, not {self._frame!r}")
            return
        fix = fix_of(message)
        if not self._has_begun:
            self._has_begun = self.correction.begin(fix)
            is_used = self._has_begun
        else:
            is_used = self.correction.correct(fix)
        if not is_used:
            self._say("too old, from the future, too far off, or no number")

    def _say(self, reason: str) -> None:
        self._log.warning(f"{topics.EXTERNAL_POSE} not used: {reason}", throttle_duration_sec=5.0)


def fix_of(message: PoseWithCovarianceStamped) -> OdometryFix:
    """Position, heading and their standard deviations; defaults where the covariance is zero, which means unknown."""
    p, q = message.pose.pose.position, message.pose.pose.orientation
    variances = np.asarray(message.pose.covariance, dtype=np.float64).reshape(6, 6).diagonal()
    sigmas = {}
    for name, variance in (("pos_sigma", variances[:3].max()), ("yaw_sigma", variances[5])):
        if 0.0 < variance < math.inf:
            sigmas[name] = max(math.sqrt(variance), _LEAST_SIGMA)
    return OdometryFix(
        time=_seconds(message.header.stamp),
        pos=np.array([p.x, p.y, p.z]),
        yaw=single.yaw([q.w, q.x, q.y, q.z]),
        **sigmas,
    )


def _seconds(stamp: Time) -> float:
    return stamp.sec + 1e-9 * stamp.nanosec
