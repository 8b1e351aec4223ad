"""What an operator can ask of the policy, as services: /arm, /reset, /set_mode, /policy/select_motion."""

from __future__ import annotations

from typing import Any

from bm_msgs.srv import SelectMotion, SetMode
from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode
from std_srvs.srv import Trigger

from bm_core.errors import RobotError
from bm_sim2real.operation.control_client import ControlClient
from bm_sim2real.operation.messages import Verb


class OperatorServices:
    """Each service is one request; the answer's text is the response's message."""

    def __init__(self, node: LifecycleNode, group: CallbackGroup) -> None:
        self._node = node
        self.control: ControlClient | None = None
        """While the node is configured."""
        create = node.create_service
        create(Trigger, "arm", self._on_arm, callback_group=group)
        create(Trigger, "reset", self._on_reset, callback_group=group)
        create(SetMode, "set_mode", self._on_set_mode, callback_group=group)
        create(SelectMotion, "policy/select_motion", self._on_select, callback_group=group)

    def _on_arm(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._ask(response, Verb.ARM)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._ask(response, Verb.RESET)

    def _on_set_mode(self, request: SetMode.Request, response: SetMode.Response) -> SetMode.Response:
        return self._ask(response, Verb.SET_MODE, request.mode)

    def _on_select(self, request: SelectMotion.Request, response: SelectMotion.Response) -> SelectMotion.Response:
        return self._ask(response, Verb.SELECT, request.motion)

    def _ask(self, response: Any, verb: Verb, argument: str = "") -> Any:
        try:
            if self.control is None:
                raise RobotError(f"{verb.value}: refused: the policy is not configured")
            answer = self.control.request(verb, argument)
            response.success, response.message = answer.is_granted, answer.text
        except RobotError as error:
            response.success, response.message = False, str(error)
        if not response.success:
            self._node.get_logger().warning(f"{verb.value} {argument}: {response.message}")
        return response
