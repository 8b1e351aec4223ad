"""Topic transport: what the control process would find in shared memory comes and goes by topic and service."""

from __future__ import annotations

from typing import Any

from bm_g1_bridge import topics
from bm_msgs.msg import RobotState
from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode
from std_srvs.srv import Trigger

from bm_core.errors import RobotError
from bm_sim2real.operation.control_client import ControlClient
from bm_sim2real.operation.messages import Ask, LinkReading, Told, Verb
from bm_sim2real.ros_support.messages import read_robot_state

_SERVICES = {
    Verb.ARM: "g1_bridge/arm",
    Verb.DISARM: "g1_bridge/disarm",
    Verb.RESET: "g1_bridge/reset",
    Verb.ESTOP: topics.ESTOP,
}


class TopicLink:
    """/robot_state into the control process, its wishes to the services of g1_bridge."""

    def __init__(self, node: LifecycleNode, group: CallbackGroup) -> None:
        self._node = node
        self.control: ControlClient | None = None
        """While the node is configured."""
        node.create_subscription(RobotState, topics.ROBOT_STATE, self._on_state, topics.sensor(), callback_group=group)
        self._clients = {
            verb: node.create_client(Trigger, name, callback_group=group) for verb, name in _SERVICES.items()
        }

    def ask(self, ask: Ask) -> None:
        """Calls the service; the answer goes back when it comes."""
        client = self._clients[ask.verb]
        if not client.service_is_ready():
            self._tell(Told(verb=ask.verb, is_granted=False, text=f"/{_SERVICES[ask.verb]} is not there"))
            return
        client.call_async(Trigger.Request()).add_done_callback(lambda future: self._on_answer(ask.verb, future))

    def _on_answer(self, verb: Verb, future: Any) -> None:
        response = future.result()
        self._tell(Told(verb=verb, is_granted=response.success, text=response.message))

    def _on_state(self, message: RobotState) -> None:
        try:
            state = read_robot_state(message)
        except RobotError as error:
            self._node.get_logger().error(str(error), throttle_duration_sec=1.0)
            return
        self._tell(LinkReading(state=state, is_armed=message.is_armed, fault=message.fault, holds=tuple(message.holds)))

    def _tell(self, message: LinkReading | Told) -> None:
        if self.control is not None:
            self.control.send(message)
