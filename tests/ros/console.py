"""What a launch test looks through and acts with: a node that hears the robot and calls its services."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import rclpy
from bm_msgs.action import PlayMotion
from bm_msgs.msg import PolicyStatus, RobotState
from bm_msgs.srv import SelectMotion, SetMode
from lifecycle_msgs.srv import GetState
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
PATIENCE_S = 60.0
"""For what a busy machine may take; nothing is judged by it."""


class Console:
    """Spins on a thread of its own until `close`."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = Node("test_console", context=self.context)
        self.heard: dict[str, Any] = {}
        """The newest message of each topic."""
        # Nothing is destroyed before `close`: an executor that waits on another thread does not survive it.
        self._ends: dict[str, Any] = {}
        self._hear(PolicyStatus, "policy/status", LATCHED)
        self._hear(RobotState, "robot_state", SENSOR)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and leaves the network."""
        self._executor.shutdown(timeout_sec=5.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)
        self._thread.join(5.0)

    def hear(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> Any:
        """The next message of a topic."""
        self.heard.pop(topic, None)
        self._hear(kind, topic, qos)
        self.until(lambda: topic in self.heard, f"message on {topic}")
        return self.heard[topic]

    def collect(self, kind: type, topic: str, count: int, qos: QoSProfile | int = 100) -> list[Any]:
        """That many messages that follow each other."""
        messages: list[Any] = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        self.until(lambda: len(messages) >= count, f"{count} messages on {topic}")
        return messages[:count]

    def until(self, condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
        """Waits. AssertionError names what did not come, and what the policy says instead."""
        end = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < end, f"no {what} in {patience_s:g} s; {self.describe()}"
            time.sleep(0.02)

    def until_mode(self, *modes: str) -> PolicyStatus:
        """Until the policy is in one of the modes; a fault meanwhile is an AssertionError."""
        self.until(lambda: self._is_in(modes), f"mode {' or '.join(modes)}")
        return self.status

    @property
    def status(self) -> PolicyStatus:
        """What the policy said last; empty before it has said anything."""
        return self.heard.get("policy/status", PolicyStatus())

    @property
    def robot(self) -> RobotState:
        """The newest reading."""
        return self.heard.get("robot_state", RobotState())

    def trigger(self, name: str) -> Trigger.Response:
        """Calls a service without arguments."""
        return self.call(Trigger, name, Trigger.Request())

    def set_mode(self, mode: str) -> SetMode.Response:
        """Asks for a mode."""
        return self.call(SetMode, "set_mode", SetMode.Request(mode=mode))

    def select(self, motion: str) -> SelectMotion.Response:
        """Selects a motion."""
        return self.call(SelectMotion, "policy/select_motion", SelectMotion.Request(motion=motion))

    def lifecycle_state(self, node: str) -> str:
        """unconfigured, inactive, active or finalized."""
        return self.call(GetState, f"{node}/get_state", GetState.Request()).current_state.label

    def call(self, kind: type, name: str, request: Any) -> Any:
        """Waits for the service and its answer."""
        if name not in self._ends:
            self._ends[name] = self.node.create_client(kind, name)
        client = self._ends[name]
        self.until(client.service_is_ready, f"service {name}")
        future = client.call_async(request)
        self.until(future.done, f"answer of {name}")
        return future.result()

    def play(self, motion: str) -> tuple[Any, list[PlayMotion.Feedback]]:
        """Handle of an accepted PlayMotion goal, and the list that its feedback goes to."""
        feedback: list[PlayMotion.Feedback] = []
        if "play" not in self._ends:
            self._ends["play"] = ActionClient(self.node, PlayMotion, "policy/play_motion")
        client = self._ends["play"]
        self.until(client.server_is_ready, "action policy/play_motion")
        sent = client.send_goal_async(PlayMotion.Goal(motion=motion), lambda m: feedback.append(m.feedback))
        self.until(sent.done, "answer to the goal")
        assert sent.result().accepted, f"{motion} was not accepted"
        return sent.result(), feedback

    def result(self, handle: Any) -> Any:
        """Of a goal, once it has ended: status and result."""
        future = handle.get_result_async()
        self.until(future.done, "end of the motion", patience_s=90.0)
        return future.result()

    def describe(self) -> str:
        """For messages."""
        status = self.status
        policy = f"policy: mode '{status.mode}', fault '{status.fault}'"
        return f"{policy}; bridge: mode '{self.robot.mode}', fault '{self.robot.fault}'"

    def _is_in(self, modes: tuple[str, ...]) -> bool:
        assert not self.status.fault, self.describe()
        return self.status.mode in modes

    def _hear(self, kind: type, topic: str, qos: QoSProfile | int) -> None:
        if topic not in self._ends:
            keep = partial(self.heard.__setitem__, topic)
            self._ends[topic] = self.node.create_subscription(kind, topic, keep, qos)

    def _spin(self) -> None:
        while self.context.ok():
            self._executor.spin_once(timeout_sec=0.1)
