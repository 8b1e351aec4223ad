"""Goals for a guided diffusion policy: sticks, /cmd_vel or waypoints in, /guidance_goal and markers out.

What a goal is made from is in bm_sim2real.guidance, tested without ROS.
"""

from __future__ import annotations

import time

from bm_g1_bridge import topics
from bm_g1_bridge.lifecycle import run_plain
from bm_msgs.msg import GuidanceGoal as GoalMessage
from geometry_msgs.msg import PoseStamped, TwistStamped
from nav_msgs.msg import Odometry, Path
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import Joy
from visualization_msgs.msg import MarkerArray

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.errors import ConfigError
from bm_guidance.markers import goal_markers, pillars_of
from bm_guidance.odometry import heading_of, planar_state_of
from bm_sim2real.guidance.operator_input import OperatorSource, StickConfig, Sticks
from bm_sim2real.guidance.planar_state import PlanarState
from bm_sim2real.guidance.sources import Waypoints
from bm_sim2real.operation.joy_map import OperatorPad, load_joy_map
from bm_sim2real.ros_support.goals import fill_goal

_RATE = 25.0
"""Goals a second: one for each plan."""
_SILENT_S = 0.5
"""s after which sticks count as centred and odometry as lost."""
SOURCES = ("joystick", "waypoints")


class GuidanceNode(Node):
    """ROS in, ROS out. Silent without odometry: then the robot brakes by itself."""

    def __init__(self) -> None:
        super().__init__("guidance")
        self._declare("source", "joystick", "joystick (/joy or /cmd_vel) or waypoints (/waypoints or /goal_pose).")
        self._declare("joy_map", "", "YAML with the axes of the gamepad; empty: only /cmd_vel.")
        self._declare("waypoints", [0.0], "x1, y1, x2, y2, ... in m (odom) to begin with; fewer than 2 numbers: none.")
        self._declare("odom_frame", "odom", "Frame of places.")
        if self._value("source") not in SOURCES:
            raise ConfigError(f"parameter source = '{self._value('source')}': must be one of {', '.join(SOURCES)}")
        self._sticks = OperatorSource()
        self._pad = OperatorPad(load_joy_map(self._value("joy_map"))) if self._value("joy_map") else None
        self._waypoints = _waypoints_of(self._value("waypoints"))
        self._state: PlanarState | None = None
        self._state_at = self._sticks_at = 0.0
        self._pillars: list = []
        self.create_subscription(Odometry, "odom", self._on_odom, topics.record(1))
        self.create_subscription(Joy, "joy", self._on_joy, topics.record(5))
        self.create_subscription(TwistStamped, "cmd_vel", self._on_twist, topics.record(1))
        self.create_subscription(PoseStamped, "goal_pose", self._on_pose, topics.record(1))
        self.create_subscription(Path, "waypoints", self._on_path, topics.record(1))
        self.create_subscription(MarkerArray, "obstacles", self._on_obstacles, topics.record(1))
        self._goal_pub = self.create_publisher(GoalMessage, "guidance_goal", topics.command(is_publisher=True))
        self._marker_pub = self.create_publisher(MarkerArray, "guidance_markers", topics.record(1))
        self.create_timer(1.0 / _RATE, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _publish(self) -> None:
        now = time.monotonic()
        if self._state is None or now - self._state_at > _SILENT_S:
            return
        if now - self._sticks_at > _SILENT_S:
            self._sticks.sticks = Sticks(is_held=False)
        goal = self._goal(self._state)
        message = GoalMessage()
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = self._value("odom_frame")
        fill_goal(message, goal, self._pillars)
        self._goal_pub.publish(message)
        self._marker_pub.publish(goal_markers(goal, self._waypoints, self._state, message.header))

    def _goal(self, state: PlanarState) -> GuidanceGoal:
        if self._value("source") == "joystick":
            return self._sticks.goal(state)
        return GuidanceGoal() if self._waypoints is None else self._waypoints.goal(state)

    def _on_odom(self, message: Odometry) -> None:
        self._state, self._state_at = planar_state_of(message), time.monotonic()

    def _on_joy(self, message: Joy) -> None:
        if self._pad is not None:
            self._pad.update(message.axes, message.buttons)
            self._sticks.sticks, self._sticks_at = self._pad.sticks, time.monotonic()

    def _on_twist(self, message: TwistStamped) -> None:
        config, twist = StickConfig(dead_zone=0.0), message.twist
        ahead = twist.linear.x / (config.forward if twist.linear.x > 0.0 else config.backward)
        self._sticks.config = config
        self._sticks.sticks = Sticks(
            ahead=_unit(ahead), left=_unit(twist.linear.y / config.sideways), turn=_unit(twist.angular.z / config.turn)
        )
        self._sticks_at = time.monotonic()

    def _on_pose(self, message: PoseStamped) -> None:
        position = message.pose.position
        self._waypoints = Waypoints([(position.x, position.y)], headings=[heading_of(message.pose.orientation)])

    def _on_path(self, message: Path) -> None:
        places = [(pose.pose.position.x, pose.pose.position.y) for pose in message.poses]
        self._waypoints = Waypoints(places) if places else None

    def _on_obstacles(self, message: MarkerArray) -> None:
        self._pillars = pillars_of(message)

    def _declare(self, name: str, default, description: str) -> None:
        self.declare_parameter(name, default, ParameterDescriptor(description=description))

    def _value(self, name: str):
        return self.get_parameter(name).value


def _waypoints_of(numbers) -> Waypoints | None:
    if len(numbers) < 2:
        return None
    if len(numbers) % 2:
        raise ConfigError(f"parameter waypoints: {len(numbers)} numbers; pairs of x and y expected")
    return Waypoints(list(zip(numbers[::2], numbers[1::2], strict=True)))


def _unit(value: float) -> float:
    return max(-1.0, min(1.0, value))


def main() -> None:
    """`ros2 run bm_guidance guidance`"""
    run_plain(GuidanceNode)
