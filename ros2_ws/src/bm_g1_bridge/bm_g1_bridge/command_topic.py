"""Commands that come by topic: from a policy on another computer, or from somebody else's controller."""

from __future__ import annotations

from collections.abc import Callable

from bm_msgs.msg import JointCommand
from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode
from std_srvs.srv import Trigger

from bm_core.errors import RobotError
from bm_g1_bridge import topics
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.ros_support.messages import read_joint_command


class CommandTopic:
    """Hands /joint_command to the bridge, which obeys the lease that ~/arm has got and nothing else."""

    def __init__(self, node: LifecycleNode, group: CallbackGroup) -> None:
        self._node = node
        self.bridge: BridgeClient | None = None
        """While the node is active."""
        self.refused = 0
        """Messages that were no command for this robot."""
        # A publisher that is not reliable is named by rclpy's own warning about incompatible quality of service.
        node.create_subscription(
            JointCommand, topics.JOINT_COMMAND, self._on_command, topics.command(is_publisher=False)
        )
        node.create_service(Trigger, "~/arm", self._on_arm, callback_group=group)
        node.create_service(Trigger, "~/disarm", self._on_disarm, callback_group=group)
        node.create_service(Trigger, "~/reset", self._on_reset, callback_group=group)

    def disarm(self) -> None:
        """The robot damps, and nothing is obeyed any more."""
        if self.bridge is not None:
            self.bridge.release()
        self.bridge = None

    def _on_command(self, message: JointCommand) -> None:
        bridge = self.bridge
        if bridge is None or not message.lease or message.lease != bridge.lease:
            return  # for information only, or of somebody who was armed before
        try:
            bridge.put(read_joint_command(message))
        except RobotError as error:
            self.refused += 1
            self._node.get_logger().error(f"{error} (refused, {self.refused} so far)", throttle_duration_sec=1.0)

    def _on_arm(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """The message of a granted request is the lease, a number for JointCommand.lease."""

        def arm(bridge: BridgeClient) -> str:
            bridge.arm()
            return str(bridge.lease)

        return self._ask(response, arm)

    def _on_disarm(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        def disarm(bridge: BridgeClient) -> str:
            bridge.release()
            return "disarmed"

        return self._ask(response, disarm)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        def reset(bridge: BridgeClient) -> str:
            bridge.reset()
            return "no fault is latched"

        return self._ask(response, reset)

    def _ask(self, response: Trigger.Response, what: Callable[[BridgeClient], str]) -> Trigger.Response:
        try:
            if self.bridge is None:
                raise RobotError("the bridge's node is not active")
            response.success, response.message = True, what(self.bridge)
        except RobotError as error:
            response.success, response.message = False, str(error)
        return response
