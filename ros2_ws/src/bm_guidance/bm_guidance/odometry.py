"""nav_msgs/Odometry as goal sources look at it."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Quaternion
from nav_msgs.msg import Odometry

from bm_core.rotations import quat_rotate, yaw_from_quat
from bm_sim2real.guidance.planar_state import PlanarState, planar_state
from bm_sim2real.ros_support.messages import quaternion_of, vector_of


def planar_state_of(message: Odometry) -> PlanarState:
    """The pelvis seen from above; the twist is in the pelvis frame."""
    quat = quaternion_of(message.pose.pose.orientation)
    linear, angular = (
        np.asarray(quat_rotate(quat, vector_of(part)))
        for part in (message.twist.twist.linear, message.twist.twist.angular)
    )
    stamp = message.header.stamp
    return planar_state(stamp.sec + 1e-9 * stamp.nanosec, vector_of(message.pose.pose.position), quat, linear, angular)


def heading_of(orientation: Quaternion) -> float:
    """rad"""
    return float(yaw_from_quat(quaternion_of(orientation)))
