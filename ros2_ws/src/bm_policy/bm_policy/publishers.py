"""Control steps as messages. Called on the thread that hears the control process, never in its loop."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from bm_g1_bridge import topics
from bm_msgs.msg import JointCommand, PolicyStatus, PolicyVector
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from bm_core.g1 import G1
from bm_core.urdf import BASE_FRAME
from bm_sim2real.operation.messages import Ready, Step
from bm_sim2real.ros_support.ghost import Ghost
from bm_sim2real.ros_support.messages import doubles, fill_joint_command, floats, set_quaternion, set_vector

GHOST = "reference/"
"""Prefix of the frames of the second robot that RViz draws."""


class PolicyPublishers:
    """Every step /joint_command and the exact vectors; status and reference less often."""

    def __init__(self, node: LifecycleNode, odom_frame: str) -> None:
        create = node.create_lifecycle_publisher
        self._motions: list[str] = []
        self._command, self._vector, self._status = JointCommand(), PolicyVector(), PolicyStatus()
        self._ghost_joints = JointState()
        self._ghost_joints.name = list(G1.joint_names)
        self._ghost_root = TransformStamped()
        self._ghost_root.header.frame_id, self._ghost_root.child_frame_id = odom_frame, f"{GHOST}{BASE_FRAME}"
        self._command_pub = create(JointCommand, topics.JOINT_COMMAND, topics.command(is_publisher=True))
        self._observation_pub = create(PolicyVector, "policy/observation", topics.record())
        self._action_pub = create(PolicyVector, "policy/action", topics.record())
        self._status_pub = create(PolicyStatus, "policy/status", topics.latched())
        self._ghost_pub = create(JointState, "reference/joint_states", topics.record(10))
        self._tf_pub = create(TFMessage, "/tf", topics.record(100))
        self.diagnostics = create(DiagnosticArray, "/diagnostics", topics.record(10))
        # Not a lifecycle publisher: whoever looks at an inactive policy may know what it is.
        self._description_pub = node.create_publisher(String, "policy/description", topics.latched())

    def describe(self, ready: Ready) -> None:
        """Latched: what runs here."""
        self._motions = list(ready.motions)
        self._description_pub.publish(String(data=json.dumps(ready.description)))

    def publish_step(self, step: Step, stamp: Time) -> None:
        """The command, and what went into the network and came out of it."""
        message = self._command
        message.header.stamp = stamp
        fill_joint_command(message, step.command, step.mode, step.lease if step.is_armed else 0)
        self._command_pub.publish(message)
        if step.observation is None or step.action is None:
            return
        vector = self._vector
        vector.header.stamp, vector.step, vector.frame = stamp, step.number, step.frame
        vector.data = floats(step.observation)
        self._observation_pub.publish(vector)
        vector.data = floats(step.action)
        self._action_pub.publish(vector)

    def publish_ghost(self, ghost: Ghost, stamp: Time) -> None:
        """The reference as a robot of its own."""
        joints, root = self._ghost_joints, self._ghost_root
        joints.header.stamp = root.header.stamp = stamp
        joints.position = doubles(ghost.joint_pos)
        set_vector(root.transform.translation, ghost.root_pos_w)
        set_quaternion(root.transform.rotation, ghost.root_quat_w)
        self._ghost_pub.publish(joints)
        self._tf_pub.publish(TFMessage(transforms=[root]))

    def publish_status(
        self, step: Step, skipped: int, error: float, timing_ms: Mapping[str, Mapping[str, float]], stamp: Time
    ) -> None:
        """`skipped`: steps that were not published; `error` in m, NaN without a reference.

        `timing_ms` as Step.timing_ms, the newest that there is.
        """
        message = self._status
        message.header.stamp = stamp
        message.mode, message.is_armed = step.mode.value, step.is_armed
        message.motion, message.is_playing = step.motion, step.is_playing
        message.progress = progress_of(step)
        message.tracking_error = error
        message.fault = "" if step.fault is None else str(step.fault)
        message.held, message.motions = step.held, self._motions
        message.steps, message.lost = step.number, step.lost + skipped
        for field, name in (("period", "period"), ("inference", "policy"), ("command_age", "command_age")):
            for key in ("p50", "p99", "max"):
                setattr(message, f"{field}_{key}", float(timing_ms.get(name, {}).get(key, math.nan)))
        self._status_pub.publish(message)


def progress_of(step: Step) -> float:
    """Of the motion that is being played, 0..1."""
    if not step.is_playing or step.motion_frames < 2:
        return 0.0
    return min(1.0, max(0.0, step.motion_frame / (step.motion_frames - 1)))
