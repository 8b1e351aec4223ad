"""What a launch test looks through and acts with: a node that hears the robot and calls its services."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import Queue
from typing import Any

import rclpy
from bm_msgs.action import PlayMotion
from bm_msgs.msg import PolicyStatus, RobotState
from bm_msgs.srv import SelectMotion, SetMode
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
PATIENCE_S = 100.0
"""For what a busy machine may take; nothing is judged by it."""


class Console:
    """Spins on a thread of its own until `close`; what it hears, it hears only as long as somebody waits for it."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = Node("test_console", context=self.context)
        self.heard: dict[str, Any] = {}
        """The newest message of each topic."""
        self._ends: dict[str, Any] = {}
        self._jobs: Queue[tuple[Callable[[], Any], Future[Any]]] = Queue()
        self._is_closed = False
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self._keep(PolicyStatus, "policy/status", LATCHED)

    def close(self) -> None:
        """Ends the thread and leaves the network."""
        self._is_closed = True
        self._thread.join(10.0)
        self._executor.shutdown(timeout_sec=5.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def hear(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> Any:
        """The next message of a topic."""
        return self.collect(kind, topic, 1, qos)[0]

    def collect(self, kind: type, topic: str, count: int, qos: QoSProfile | int = 100) -> list[Any]:
        """That many messages that follow each other."""
        return self.collect_until(kind, topic, lambda messages: len(messages) >= count, f"{count}", qos)[:count]

    def collect_until(
        self, kind: type, topic: str, enough: Callable[[list[Any]], object], what: str, qos: QoSProfile | int = 100
    ) -> list[Any]:
        """Messages that follow each other, until they are enough; `what` they are, if they do not come."""
        messages: list[Any] = []
        subscription = self.do(lambda: self.node.create_subscription(kind, topic, messages.append, qos))
        try:
            self.until(lambda: enough(messages), f"{what} on {topic}")
        finally:
            self.do(lambda: self.node.destroy_subscription(subscription))
        return messages

    def do(self, what: Callable[[], Any]) -> Any:
        """On the executor's thread, between two waits: an executor does not survive ends that vanish meanwhile, and an
        action client (rclpy 7) ignores answers that come before it has noted down its question."""
        if threading.current_thread() is self._thread:
            return what()
        done: Future[Any] = Future()
        self._jobs.put((what, done))
        return done.result(PATIENCE_S)

    def publisher(self, kind: type, topic: str) -> Any:
        """The one publisher on this topic."""
        name = f"{topic} out"
        if name not in self._ends:
            self._ends[name] = self.do(lambda: self.node.create_publisher(kind, topic, 10))
        return self._ends[name]

    def repeat(self, topic: str, message: Any, rate: float) -> None:
        """Publishes the message until `close`, that many times a second."""
        publisher = self.publisher(type(message), topic)
        self.every(1.0 / rate, lambda: publisher.publish(message))

    def every(self, period_s: float, what: Callable[[], object]) -> None:
        """Calls it again and again until `close`."""
        self._ends[f"timer {len(self._ends)}"] = self.do(lambda: self.node.create_timer(period_s, what))

    def until(self, condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
        """Waits. AssertionError names what did not come, and what the policy says instead."""
        end = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < end, f"no {what} in {patience_s:g} s; {self.describe()}"
            time.sleep(0.02)

    def until_silent(self, kind: type, topic: str, seconds: float = 2.0) -> None:
        """Until nothing has come on a topic for that long."""
        newest = [time.monotonic()]
        subscription = self.do(
            lambda: self.node.create_subscription(kind, topic, lambda _: newest.append(time.monotonic()), 1)
        )
        self.until(lambda: time.monotonic() - newest[-1] > seconds, f"silence on {topic}")
        self.do(lambda: self.node.destroy_subscription(subscription))

    def until_mode(self, *modes: str) -> PolicyStatus:
        """Until the policy is in one of the modes; a fault meanwhile is an AssertionError."""
        self.until(lambda: self._is_in(modes), f"mode {' or '.join(modes)}")
        return self.status

    def until_steps(self, count: int) -> None:
        """Lets control steps pass, as the policy counts them."""
        self.heard.pop("policy/status", None)
        self.until(lambda: self.status.steps, "a status")
        begin = self.status.steps
        self.until(lambda: self.status.steps >= begin + count, f"{count} control steps")

    @property
    def status(self) -> PolicyStatus:
        """What the policy said last; empty before it has said anything."""
        return self.heard.get("policy/status", PolicyStatus())

    @property
    def robot(self) -> RobotState:
        """The newest reading; empty at the first question."""
        self._keep(RobotState, "robot_state", SENSOR)
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

    def transition(self, node: str, name: str) -> bool:
        """Whether the lifecycle transition succeeded."""
        request = ChangeState.Request(transition=Transition(label=name))
        request.transition.id = getattr(Transition, f"TRANSITION_{name.upper()}")
        return self.call(ChangeState, f"{node}/change_state", request).success

    def call(self, kind: type, name: str, request: Any) -> Any:
        """Waits for the service and its answer."""
        if name not in self._ends:
            self._ends[name] = self.do(lambda: self.node.create_client(kind, name))
        client = self._ends[name]
        self.until(client.service_is_ready, f"service {name}")
        future = self.do(lambda: client.call_async(request))
        self.until(future.done, f"answer of {name}")
        return future.result()

    def play(self, motion: str) -> tuple[Any, list[PlayMotion.Feedback]]:
        """Handle of an accepted PlayMotion goal, and the list that its feedback goes to."""
        feedback: list[PlayMotion.Feedback] = []
        if "play" not in self._ends:
            self._ends["play"] = self.do(lambda: ActionClient(self.node, PlayMotion, "policy/play_motion"))
        client = self._ends["play"]
        self.until(client.server_is_ready, "action policy/play_motion")
        goal = PlayMotion.Goal(motion=motion)
        sent = self.do(lambda: client.send_goal_async(goal, lambda m: feedback.append(m.feedback)))
        self.until(sent.done, "answer to the goal")
        assert sent.result().accepted, f"{motion} was not accepted"
        return sent.result(), feedback

    def result(self, handle: Any) -> Any:
        """Of a goal, once it has ended: status and result."""
        future = self.do(handle.get_result_async)
        self.until(future.done, "end of the motion", patience_s=PATIENCE_S)
        return future.result()

    def describe(self) -> str:
        """For messages."""
        status = self.status
        policy = f"policy: mode '{status.mode}', fault '{status.fault}'"
        return f"{policy}; bridge: mode '{self.robot.mode}', fault '{self.robot.fault}'"

    def _is_in(self, modes: tuple[str, ...]) -> bool:
        assert not self.status.fault, self.describe()
        return self.status.mode in modes

    def _keep(self, kind: type, topic: str, qos: QoSProfile | int) -> None:
        if topic not in self._ends:
            keep = partial(self.heard.__setitem__, topic)
            self._ends[topic] = self.do(lambda: self.node.create_subscription(kind, topic, keep, qos))

    def _spin(self) -> None:
        while not self._is_closed:
            self._executor.spin_once(timeout_sec=0.05)
            while not self._jobs.empty():
                what, done = self._jobs.get()
                try:
                    done.set_result(what())
                except Exception as error:
                    done.set_exception(error)
