"""The action /policy/play_motion: one motion from its first frame to standing, with feedback; cancelling brakes."""

from __future__ import annotations

import contextlib
import math
import threading

from bm_msgs.action import PlayMotion
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode

from bm_core.errors import RobotError
from bm_policy.publishers import progress_of
from bm_sim2real.operation.control_client import ControlClient
from bm_sim2real.operation.messages import Played, Step, Verb

_FEEDBACK_S = 0.1


class PlayAction:
    """One goal at a time, because the state machine plays one motion at a time and refuses another."""

    def __init__(self, node: LifecycleNode, group: CallbackGroup) -> None:
        self.control: ControlClient | None = None
        """While the node is configured."""
        self._ended = threading.Event()
        self._played: dict[int, Played] = {}
        self._step: Step | None = None
        self._errors: list[float] = []
        ActionServer(
            node,
            PlayMotion,
            "policy/play_motion",
            execute_callback=self._execute,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=group,
        )

    def end(self) -> None:
        """The control loop has ended; a goal that runs ends as not completed."""
        self._step = None
        self._ended.set()

    def on_step(self, step: Step, error: float) -> None:
        """The newest control step, and the tracking error, m."""
        self._step = step
        if step.is_playing and math.isfinite(error):
            self._errors.append(error)

    def on_played(self, played: Played) -> None:
        """How a motion has ended."""
        self._played[played.id] = played
        self._ended.set()

    def _execute(self, goal: ServerGoalHandle) -> PlayMotion.Result:
        result = PlayMotion.Result()
        self._played.clear()
        self._ended.clear()
        self._errors = []
        try:
            if self.control is None:
                raise RobotError("play: refused: the policy is not configured")
            answer = self.control.request(Verb.PLAY, goal.request.motion)
        except RobotError as error:
            goal.abort()
            result.message = str(error)
            return result
        if not answer.is_granted:
            goal.abort()
            result.message = answer.text
            return result
        return self._follow(goal, answer.id, result)

    def _follow(self, goal: ServerGoalHandle, identity: int, result: PlayMotion.Result) -> PlayMotion.Result:
        is_cancelled = False
        while not self._ended.wait(_FEEDBACK_S):
            self._feed(goal)
            if goal.is_cancel_requested and not is_cancelled:
                is_cancelled = True
                self._brake()
        played = self._played.get(identity)
        result.completed = played is not None and played.is_completed
        result.message = "the policy was deactivated" if played is None else played.text
        result.mean_error = sum(self._errors) / len(self._errors) if self._errors else math.nan
        if is_cancelled:
            goal.canceled()
        elif result.completed:
            goal.succeed()
        else:
            goal.abort()
        return result

    def _brake(self) -> None:
        if self.control is not None:
            with contextlib.suppress(RobotError):  # the loop has ended meanwhile, damping
                self.control.request(Verb.BRAKE)

    def _feed(self, goal: ServerGoalHandle) -> None:
        step = self._step
        if step is None:
            return
        feedback = PlayMotion.Feedback()
        feedback.progress, feedback.mode = progress_of(step), step.mode.value
        feedback.tracking_error = self._errors[-1] if self._errors else math.nan
        goal.publish_feedback(feedback)
