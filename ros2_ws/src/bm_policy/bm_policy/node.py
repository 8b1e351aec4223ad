"""The policy node: owns a control process, translates its steps into topics and services into its requests."""

from __future__ import annotations

import math
import time
from typing import Any

from bm_g1_bridge.lifecycle import COULD_NOT_RUN, OperatedNode, run
from bm_g1_bridge.publishers import diagnostic_array, time_message
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import State, TransitionCallbackReturn

from bm_core.errors import BmError, RobotError
from bm_core.g1 import G1
from bm_policy.goal_topic import GoalTopic
from bm_policy.parameters import control_config, declare_parameters
from bm_policy.play_action import PlayAction
from bm_policy.publishers import PolicyPublishers
from bm_policy.services import OperatorServices
from bm_policy.topic_link import TopicLink
from bm_sim2real.operation.channel import ChannelClosed
from bm_sim2real.operation.config import Transport
from bm_sim2real.operation.control_client import ControlClient
from bm_sim2real.operation.messages import Ask, Ended, Note, Played, Step
from bm_sim2real.ros_support.diagnostics import policy_diagnoses
from bm_sim2real.ros_support.ghost import ghost_of

_GHOST_EVERY = 2
_STATUS_EVERY = 5
_OLD_S = 0.5
"""s after which a step is no news: a node that was held up catches up instead of publishing the past."""


class PolicyNode(OperatedNode):
    """ROS in, ROS out. What decides is the control process (bm_sim2real.operation), which is tested without ROS."""

    def __init__(self) -> None:
        super().__init__("policy")
        declare_parameters(self)
        self._control: ControlClient | None = None
        self._is_active = False
        self._newest: tuple[Step, float] | None = None
        self._timing: dict[str, dict[str, float]] = {}
        self._error = math.nan
        self._skipped = 0
        """Steps that came too late to be published."""
        slow = MutuallyExclusiveCallbackGroup()
        self._topics = PolicyPublishers(self, self.value("odom_frame"))
        self._operator = OperatorServices(self, slow)
        reentrant = ReentrantCallbackGroup()
        self._action = PlayAction(self, reentrant)
        self._goals = GoalTopic(self, self.value("odom_frame"), reentrant)
        is_topic = self.value("transport") == Transport.TOPIC.value
        self._link = TopicLink(self, reentrant) if is_topic else None
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._diagnose, callback_group=MutuallyExclusiveCallbackGroup(), clock=steady)

    def on_configure(self, state: State) -> TransitionCallbackReturn:
        """Loads and proves the policy, reads the motions, warms up; commands nothing."""
        try:
            control = ControlClient(control_config(self), self._on_event)
            ready = control.start()
        except BmError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        for warning in ready.warnings:
            self.get_logger().warning(warning)
        self._connect(control)
        self._topics.describe(ready)
        self.get_logger().info(f"{ready.description['policy']}: proven; {len(ready.motions)} motions")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: State) -> TransitionCallbackReturn:
        """Begins the control loop. The robot stays in DAMPING unless the parameter `start` says otherwise."""
        assert self._control is not None
        result = super().on_activate(state)
        self._is_active = True
        try:
            self.get_logger().info(self._control.activate())
        except RobotError as error:
            self._is_active = False
            self.get_logger().error(str(error))
            super().on_deactivate(state)
            return TransitionCallbackReturn.FAILURE
        return result

    def on_deactivate(self, state: State) -> TransitionCallbackReturn:
        """Damps for a second, gives the lease back, ends the control loop."""
        self.damp()
        return super().on_deactivate(state)

    def damp(self) -> None:
        """Damps for a second if the control loop runs, and ends it."""
        if self._is_active and self._control is not None:
            try:
                self._control.deactivate()
            except RobotError as error:  # gone, so the bridge damps already
                self.get_logger().error(str(error))
        self._is_active = False
        self._action.end()

    def close(self) -> None:
        """Ends the control process."""
        if self._control is not None:
            self._control.close()
        self._connect(None)

    def _connect(self, control: ControlClient | None) -> None:
        self._control = self._operator.control = self._action.control = self._goals.control = control
        if self._link is not None:
            self._link.control = control

    def let_go(self) -> None:
        """Damps if active, then ends the control process."""
        self.damp()
        self.close()

    def _on_event(self, event: Any) -> None:
        """On the thread that hears the control process."""
        if isinstance(event, Step):
            self._on_step(event)
        elif isinstance(event, Note):
            log = self.get_logger()
            # Two lines: rclpy refuses one call site that changes its severity.
            if event.is_warning:
                log.warning(event.text)
            else:
                log.info(event.text)
        elif isinstance(event, Ask) and self._link is not None:
            self._link.ask(event)
        elif isinstance(event, Played):
            self._action.on_played(event)
        elif isinstance(event, Ended):
            self._on_ended(event)
        elif isinstance(event, ChannelClosed):
            self.get_logger().fatal("the control process has died; the bridge damps the robot")
            self._is_active = False
            self.end(COULD_NOT_RUN)

    def _on_step(self, step: Step) -> None:
        if not self._is_active:
            return
        if time.time() - step.wall_s > _OLD_S:
            self._skipped += 1
            return
        published = self._topics
        stamp = time_message(step.state.time) if self.value("use_sim_time") else time_message(step.wall_s)
        self._newest = step, time.monotonic()
        self._timing = step.timing_ms or self._timing
        published.publish_step(step, stamp)
        if step.plan_xy is not None:
            self._goals.publish_plan(step.plan_xy, stamp)
        if step.number % _GHOST_EVERY == 0:
            self._draw(step, stamp)
        if step.number % _STATUS_EVERY == 0:
            published.publish_status(step, self._skipped, self._error, self._timing, stamp)
        self._action.on_step(step, self._error)

    def _draw(self, step: Step, stamp: Any) -> None:
        joint_pos, body_pos, body_quat = (
            step.reference_joint_pos,
            step.reference_body_pos_w,
            step.reference_body_quat_w,
        )
        if joint_pos is None or body_pos is None or body_quat is None:
            self._error = math.nan
            return
        ghost = ghost_of(step.state, joint_pos, body_pos, body_quat)
        self._error = ghost.error
        if self.value("publish_reference"):
            self._topics.publish_ghost(ghost, stamp)

    def _on_ended(self, event: Ended) -> None:
        timing = event.notes.get("timing_ms", {})
        for name, numbers in timing.items():
            shown = ", ".join(f"{key} {value:.2f}" for key, value in numbers.items())
            self.get_logger().info(f"{name}: {shown} ms")
        if event.reason:
            self.get_logger().fatal(f"the control loop has ended: {event.reason}")
            self._is_active = False
            self.end(COULD_NOT_RUN)

    def _diagnose(self) -> None:
        if self._newest is None:
            return
        step, at = self._newest
        diagnoses = policy_diagnoses(step, self._skipped, self._timing, time.monotonic() - at)
        stamp = self.get_clock().now().to_msg()
        self._topics.diagnostics.publish(diagnostic_array(diagnoses, stamp, G1.name))


def main() -> None:
    """`ros2 run bm_policy policy`"""
    run(PolicyNode, threads=4)
