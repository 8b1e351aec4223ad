"""The control loop of an activated policy: steps, and between them what the node asks for."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from bm_core.errors import RobotError
from bm_core.state import LowCommand, RobotState
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.loop import BridgedLoop
from bm_sim2real.operation.channel import Channel, ChannelClosed
from bm_sim2real.operation.config import ControlConfig, Start, Transport
from bm_sim2real.operation.guided_run import GuidedRun
from bm_sim2real.operation.messages import Answer, Ended, LinkReading, Request, Step, Told, Verb, Wish
from bm_sim2real.operation.playlist import Playlist
from bm_sim2real.operation.relayed_link import RelayedLink
from bm_sim2real.operation.supervisor import Supervisor
from bm_sim2real.state_machine import StateMachine
from bm_sim2real.timing_window import TimingWindow

_TIMING_EVERY = 50
"""Control steps between two publications of the timing (1 s)."""


class ActiveRun:
    """From activation to damping."""

    def __init__(
        self,
        config: ControlConfig,
        channel: Channel,
        machine: StateMachine,
        playlist: Playlist,
        guided: GuidedRun | None,
    ) -> None:
        """Finds the bridge. RobotError if it or its robot does not answer."""
        self._config, self._channel, self._machine, self._guided = config, channel, machine, guided
        self._pending: deque[Any] = deque()
        self._link = self._connect()
        self._loop = BridgedLoop(self._link, machine, self)  # type: ignore[arg-type]  # a relayed link looks the same
        self._supervisor = Supervisor(machine, self._link, playlist, config, channel.send, guided)
        self._playlist = playlist
        self._period, self._policy = TimingWindow(), TimingWindow()
        self._stepped_at: float | None = None
        self._number = 0
        self._lost = 0
        self._taken: tuple[RobotState, LowCommand, float] | None = None

    @property
    def found(self) -> str:
        """What the commands go to."""
        if isinstance(self._link, RelayedLink):
            return "bridge: by /robot_state and /joint_command"
        guardian, writer = self._link.pids
        return f"bridge: processes {guardian} and {writer}"

    def run(self) -> None:
        """Until told to end, or until the bridge or the node is gone. Always damps first."""
        reason, request = "", None
        try:
            while request is None:
                self._step()
                request = self._obey()
        except ChannelClosed:
            self._link.estop()
            self._loop.damp(self._config.exit_damping_s)
            raise
        except RobotError as error:
            reason = str(error)
        if self._guided is not None:
            self._guided.is_on = False
            self._guided.forget()
        self._loop.damp(self._config.exit_damping_s)
        self._channel.send(Ended(reason=reason, notes={**self._loop.notes(), "timing_ms": self._timing_ms()}))
        if request is not None:
            self._channel.send(Answer(id=request.id, is_granted=True, text="damped"))

    def on_step(self, state: RobotState, machine: StateMachine, written: LowCommand, policy_s: float) -> None:
        """As a listener of the loop."""
        self._taken = state, written, policy_s
        if isinstance(self._link, RelayedLink):  # the step is the command: out with it before anything else
            self._number += 1
            self._send(self._record(*self._taken))

    def _connect(self) -> BridgeClient | RelayedLink:
        ready_s = self._config.ready_s
        if self._config.transport is Transport.MAILBOX:
            link: BridgeClient | RelayedLink = BridgeClient.find(self._config.interface, ready_s)
            link.most_still_s += self._config.stall_allowance_s
            link.is_operator_relayed = True  # by the bridge's node, from its topic
        else:
            config = self._config
            link = RelayedLink(self._channel.send, self._pump, config.stall_allowance_s, config.real_time_factor)
            self._link = link
            link.wait_ready(ready_s)
        if self._config.start is not Start.MANUAL and link.fault is not None:
            link.reset()
        return link

    def _step(self) -> None:
        self._loop.step()
        now = time.perf_counter()
        if self._stepped_at is not None:
            self._period.add(now - self._stepped_at)
        self._stepped_at = now
        assert self._taken is not None
        self._policy.add(self._taken[2])
        self._supervisor.after_step(self._taken[0])
        if not isinstance(self._link, RelayedLink):
            self._number += 1
            self._send(self._record(*self._taken))

    def _pump(self) -> None:
        """Sorts what has come: what the link says is for the link, the rest waits for its turn."""
        while (message := self._channel.receive(0.0)) is not None:
            if isinstance(message, (LinkReading, Told)) and isinstance(self._link, RelayedLink):
                self._link.feed(message)
            else:
                self._pending.append(message)

    def _obey(self) -> Request | None:
        """Answers what has come; returns the request to end."""
        assert self._taken is not None
        self._pump()
        while self._pending:
            message = self._pending.popleft()
            if isinstance(message, Wish) and self._guided is not None:
                self._guided.wish(message.goal)
            elif isinstance(message, Request) and message.verb is Verb.DEACTIVATE:
                return message
            elif isinstance(message, Request):
                self._channel.send(self._supervisor.answer(message, self._taken[0]))
        return None

    def _send(self, step: Step) -> None:
        self._lost += not self._channel.send(step)

    def _record(self, state: RobotState, command: LowCommand, policy_s: float) -> Step:
        machine, output = self._machine, self._machine.output
        clip, is_playing = self._playlist.selected, self._supervisor.is_playing
        has_observation = output is not None and output.observation.size > 0  # plans have none
        frame = machine.policy.present_frame if output is not None and has_observation else None
        return Step(
            number=self._number,
            wall_s=time.time(),
            state=state,
            command=command,
            lease=self._link.lease,
            mode=machine.mode,
            is_armed=self._link.is_armed,
            policy_s=policy_s,
            fault=self._loop.fault,
            held=self._supervisor.held,
            motion=clip.name,
            is_playing=is_playing,
            motion_frame=machine.clip_frame if is_playing else 0,
            motion_frames=clip.num_frames,
            observation=output.observation if output is not None and has_observation else None,
            action=output.action if output is not None and has_observation else None,
            frame=-1 if output is None else output.frame,
            reference_joint_pos=None if frame is None else frame.joint_pos,
            reference_body_pos_w=None if frame is None else frame.body_pos_w,
            reference_body_quat_w=None if frame is None else frame.body_quat_w,
            plan_xy=None if self._guided is None else self._guided.new_plan_xy(),
            timing_ms=self._timing_ms() if self._number % _TIMING_EVERY == 0 else {},
            lost=self._lost,
        )

    def _timing_ms(self) -> dict[str, dict[str, float]]:
        return {
            "period": self._period.percentiles_ms(),
            "policy": self._policy.percentiles_ms(),
            "command_age": self._link.status().get("timing_ms", {}).get("command_age", {}),
        }
