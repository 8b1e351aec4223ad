"""Gamepad in, services and heartbeat out. What a press means: bm_sim2real.operation.joy_map, tested without ROS."""

from __future__ import annotations

import time

from bm_g1_bridge import topics
from bm_g1_bridge.lifecycle import run_plain
from bm_msgs.srv import SelectMotion, SetMode
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from bm_sim2real.modes import Mode
from bm_sim2real.operation.joy_map import OperatorEvent, OperatorPad, load_joy_map

_HEARTBEAT_S = 0.1
_JOY_SILENT_S = 0.3
"""s without /joy after which nobody counts as there; joy_node repeats at 20 Hz."""


class OperatorNode(Node):
    """No lifecycle: an operator must be heard in every state of the others."""

    def __init__(self) -> None:
        super().__init__("operator")
        self.declare_parameter("joy_map", "", ParameterDescriptor(description="YAML with the buttons of the gamepad."))
        self._pad = OperatorPad(load_joy_map(self.get_parameter("joy_map").value))
        self._heard_at = 0.0
        self._estop = self.create_client(Trigger, topics.ESTOP)
        self._arm = self.create_client(Trigger, "arm")
        self._reset = self.create_client(Trigger, "reset")
        self._set_mode = self.create_client(SetMode, "set_mode")
        self._select = self.create_client(SelectMotion, "policy/select_motion")
        self._heartbeat = self.create_publisher(Header, topics.HEARTBEAT, topics.record(1))
        self.create_subscription(Joy, "joy", self._on_joy, topics.record(5))
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_HEARTBEAT_S, self._beat, clock=steady)

    def _on_joy(self, message: Joy) -> None:
        self._heard_at = time.monotonic()
        for event in self._pad.update(message.axes, message.buttons):
            self.get_logger().info(f"operator: {event.value}")
            self._do(event)

    def _beat(self) -> None:
        if self._pad.is_deadman_held and time.monotonic() - self._heard_at < _JOY_SILENT_S:
            self._heartbeat.publish(Header(stamp=self.get_clock().now().to_msg(), frame_id="operator"))

    def _do(self, event: OperatorEvent) -> None:
        if event is OperatorEvent.ESTOP:
            self._call(self._estop, Trigger.Request())
        elif event is OperatorEvent.RESET:
            self._call(self._reset, Trigger.Request())
        elif event is OperatorEvent.GET_UP:
            self._call(self._arm, Trigger.Request(), then=lambda: self._ask_mode(Mode.HANG))
        elif event is OperatorEvent.STANDBY:
            self._ask_mode(Mode.STAND)
        elif event is OperatorEvent.START:
            self._ask_mode(Mode.RUNNING)
        else:
            motion = "+1" if event is OperatorEvent.NEXT else "-1"
            self._call(self._select, SelectMotion.Request(motion=motion))

    def _ask_mode(self, mode: Mode) -> None:
        self._call(self._set_mode, SetMode.Request(mode=mode.value))

    def _call(self, client, request, then=None) -> None:
        if not client.service_is_ready():
            self.get_logger().error(f"{client.srv_name}: nobody offers it")
            return

        def on_answer(future) -> None:
            answer = future.result()
            log = self.get_logger()
            if not answer.success:
                log.warning(f"{client.srv_name}: {answer.message}")
                return
            log.info(f"{client.srv_name}: {answer.message}")
            if then is not None:
                then()

        client.call_async(request).add_done_callback(on_answer)


def main() -> None:
    """`ros2 run bm_guidance operator --ros-args -p joy_map:=FILE`"""
    run_plain(OperatorNode)
