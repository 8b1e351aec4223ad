"""/guidance_goal to a guided policy, and its plans to /plan."""

from __future__ import annotations

from bm_g1_bridge import topics
from bm_msgs.msg import GuidanceGoal
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from numpy.typing import NDArray
from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode

from bm_sim2real.operation.control_client import ControlClient
from bm_sim2real.operation.messages import Wish
from bm_sim2real.ros_support.goals import read_goal


class GoalTopic:
    """Goals go into the control process as they come: their age counts there."""

    def __init__(self, node: LifecycleNode, odom_frame: str, group: CallbackGroup) -> None:
        self.control: ControlClient | None = None
        """While the node is configured."""
        self._plan = Path()
        self._plan.header.frame_id = odom_frame
        node.create_subscription(
            GuidanceGoal, "guidance_goal", self._on_goal, topics.command(is_publisher=False), callback_group=group
        )
        self._plan_pub = node.create_lifecycle_publisher(Path, "plan", topics.record(1))

    def publish_plan(self, way_xy: NDArray, stamp: Time) -> None:
        """(N, 2) m in the odom frame."""
        message = self._plan
        message.header.stamp = stamp
        message.poses = []
        for x, y in way_xy.tolist():
            pose = PoseStamped(header=message.header)
            pose.pose.position.x, pose.pose.position.y = x, y
            message.poses.append(pose)
        self._plan_pub.publish(message)

    def _on_goal(self, message: GuidanceGoal) -> None:
        if self.control is not None:
            self.control.send(Wish(read_goal(message)))
