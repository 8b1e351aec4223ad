"""Commands that come by topic: from a policy on another computer, or from somebody else's controller."""

from __future__ import annotations

from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode
from std_srvs.srv import Trigger

from bm_core.errors import RobotError
from bm_g1_bridge import topics
from bm_msgs.msg import JointCommand
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.ros_support.messages import read_joint_command


class CommandTopic:
    """Hands /joint_command to the bridge, which obeys the lease that ~/arm has got and nothing else."""

    def __init__(self, node: LifecycleNode, client: BridgeClient, group: CallbackGroup) -> None:
        self._node, self._client = node, client
        self.refused = 0
        """Messages that were no command for this robot."""
        # A publisher with another quality of service than reliable is named by rclpy's own warning.
        self._subscription = node.create_subscription(
            JointCommand, topics.JOINT_COMMAND, self._on_command, topics.command(is_publisher=False)
        )
        self._services = [
            node.create_service(Trigger, "~/arm", self._on_arm, callback_group=group),
            node.create_service(Trigger, "~/disarm", self._on_disarm, callback_group=group),
            node.create_service(Trigger, "~/reset", self._on_reset, callback_group=group),
        ]

    def close(self) -> None:
        """Disarms: the robot damps."""
        self._client.release()
        self._node.destroy_subscription(self._subscription)
        for service in self._services:
            self._node.destroy_service(service)

    def _on_command(self, message: JointCommand) -> None:
        if not message.lease or message.lease != self._client.lease:
            return  # for information only, or of somebody who was armed before
        try:
            self._client.put(read_joint_command(message))
        except RobotError as error:
            self.refused += 1
            self._node.get_logger().error(f"{error} (refused, {self.refused} so far)", throttle_duration_sec=1.0)

    def _on_arm(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """The message of a granted request is the lease, a number for JointCommand.lease."""
        try:
            self._client.arm()
        except RobotError as error:
            response.success, response.message = False, str(error)
            return response
        response.success, response.message = True, str(self._client.lease)
        return response

    def _on_disarm(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._client.release()
        response.success, response.message = True, "disarmed"
        return response

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            self._client.reset()
        except RobotError as error:
            response.success, response.message = False, str(error)
            return response
        response.success, response.message = True, "no fault is latched"
        return response
