"""The node beside the bridge: publishes what the bridge's shared memory says, and carries the emergency stop.

Everything that keeps the robot safe is in the bridge's own processes, which outlive this one. Topics and services live
as long as the node; the lifecycle decides what goes through them.
"""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import State, TransitionCallbackReturn
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from bm_core.errors import BmError, RobotError
from bm_core.g1 import G1
from bm_g1_bridge import topics
from bm_g1_bridge.command_topic import CommandTopic
from bm_g1_bridge.lifecycle import OperatedNode, run
from bm_g1_bridge.map_frame import MapFrame
from bm_g1_bridge.publishers import ClockPublisher, ReadingPublishers, RemotePublisher, diagnostic_array, time_message
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.robots.unitree.dds import LOOPBACK
from bm_sim2real.ros_support.diagnostics import bridge_diagnoses

_RATE = 100
_JOINTS_EVERY = 2
_STATUS_EVERY = 5
_LOST_S = 1.0
_SAY_AGAIN_S = 10.0


class G1BridgeNode(OperatedNode):
    """ROS in, ROS out. What decides is the bridge (bm_sim2real.bridge), which is tested without ROS."""

    def __init__(self) -> None:
        super().__init__("g1_bridge")
        self.declare("interface", LOOPBACK, "Network interface of the robot; lo is the simulated one.", fixed=True)
        self.declare("bridge_timeout", 20.0, "s to wait for the bridge and its robot.", lowest=0.0, highest=600.0)
        self.declare(
            "accept_commands", False, "Obey /joint_command (with the lease of ~/arm) instead of a mailbox.", fixed=True
        )
        self.declare("odom_frame", "odom", "Frame of the state estimate.", fixed=True)
        self.declare("publish_tf", True, "Publish odom -> base_link.", fixed=True)
        self.declare(
            "map_frame",
            "",
            "Frame of the poses on /external_pose, which keep map_frame -> odom_frame; empty: none.",
            fixed=True,
        )
        self.declare("publish_remote", False, "Publish the robot's own remote on /joy.", fixed=True)
        self._bridge: BridgeClient | None = None
        self._readings = ReadingPublishers(self, odom_frame=self.value("odom_frame"), has_tf=self.value("publish_tf"))
        self._robot_clock = ClockPublisher(self) if self.value("interface") == LOOPBACK else None
        self._remote = RemotePublisher(self) if self.value("publish_remote") else None
        self._diagnostics = self.create_lifecycle_publisher(DiagnosticArray, "/diagnostics", topics.record(10))
        operator, readings = MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()
        self.create_service(Trigger, topics.ESTOP, self._on_estop, callback_group=operator)
        self.create_subscription(
            Header, topics.HEARTBEAT, self._on_heartbeat, topics.record(1), callback_group=operator
        )
        self._map = self._map_frame(readings) if self.value("map_frame") else None
        self._commands = CommandTopic(self, operator) if self.value("accept_commands") else None
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._beats = [
            self.create_timer(1.0 / _RATE, self._publish, callback_group=readings, clock=steady),
            self.create_timer(1.0, self._diagnose, callback_group=readings, clock=steady),
        ]
        self._fall_silent()

    def _map_frame(self, group: CallbackGroup) -> MapFrame:
        return MapFrame(self, map_frame=self.value("map_frame"), odom_frame=self.value("odom_frame"), group=group)

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        """Finds the bridge and its robot."""
        interface = self.value("interface")
        try:
            self._bridge = BridgeClient.find(interface, self.value("bridge_timeout"), self.stop.is_set)
        except BmError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        kind = "SIMULATED" if interface == LOOPBACK else "HARDWARE"
        guardian, writer = self._bridge.pids
        self.get_logger().info(f"bridge on {interface}: {kind}, processes {guardian} and {writer}")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        """Begins to publish, and to obey if commands come by topic."""
        assert self._bridge is not None
        result = super().on_activate(state)
        self._ticks = 0
        self._seen: tuple[int, float] = (-1, time.monotonic())
        self._status = self._bridge.status()
        if self._commands is not None:
            self._commands.bridge = self._bridge
        for timer in self._beats:
            timer.reset()
        return result

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        """Gives a lease back, so that the robot damps, and falls silent."""
        self.damp()
        self._fall_silent()
        return super().on_deactivate(state)

    def damp(self) -> None:
        """Disarms what was armed here."""
        if self._commands is not None:
            self._commands.disarm()

    def let_go(self) -> None:
        """Lets the bridge go; it goes on damping."""
        self.damp()
        self._fall_silent()
        self._bridge = None

    def _fall_silent(self) -> None:
        for timer in self._beats:
            timer.cancel()

    def _publish(self) -> None:
        if self._bridge is None:
            return
        try:
            state = self._bridge.read()
        except RobotError:  # a torn read: the next one is 10 ms away
            return
        if state.seq != self._seen[0]:
            self._seen = state.seq, time.monotonic()
        if self._ticks % _STATUS_EVERY == 0:
            self._status = self._bridge.status()
        stamp = time_message(state.time) if self.value("use_sim_time") else self.get_clock().now().to_msg()
        if self._robot_clock is not None:
            self._robot_clock.publish(state.time)
        self._readings.publish_reading(state, self._bridge.motor_temperature(), self._status, stamp)
        if self._ticks % _JOINTS_EVERY == 0:
            self._readings.publish_joints(state, stamp)
            self._readings.publish_base(state, self._bridge.covariance(), stamp)
            if self._map is not None:
                self._map.publish(state, (self._status.get("estimate") or {}).get("resets", 0), stamp)
            if self._remote is not None:
                self._remote.publish(self._bridge.remote(), stamp)
        self._ticks += 1

    def _diagnose(self) -> None:
        if self._bridge is None:
            return
        age = time.monotonic() - self._seen[1]
        diagnoses = bridge_diagnoses(self._bridge.status(), age, GuardLimits())
        self._diagnostics.publish(diagnostic_array(diagnoses, self.get_clock().now().to_msg(), G1.name))
        if age > _LOST_S:
            why = "; its guardian damps" if self._bridge.has_guardian_taken_over else ""
            self.get_logger().error(
                f"the bridge's writer stands still for {age:.1f} s{why}; only a new bridge helps",
                throttle_duration_sec=_SAY_AGAIN_S,
            )

    def _on_heartbeat(self, message: Header) -> None:
        if self._bridge is not None:
            self._bridge.heartbeat()

    def _on_estop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._bridge is None:
            response.success, response.message = False, "not configured: there is no bridge to stop"
            return response
        self._bridge.estop()
        self.get_logger().warning("emergency stop by service: damping, latched")
        response.success, response.message = True, "damping, latched; /reset when the robot is safe"
        return response


def main() -> None:
    """`ros2 run bm_g1_bridge g1_bridge`"""
    run(G1BridgeNode)
