"""The control loop of an activated policy: steps, and between them what the node asks for."""

from __future__ import annotations

import time

from bm_core.errors import RobotError
from bm_core.state import LowCommand, RobotState
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.loop import BridgedLoop
from bm_sim2real.operation.channel import Channel, ChannelClosed
from bm_sim2real.operation.config import ControlConfig
from bm_sim2real.operation.messages import Answer, Ended, Request, Step, Verb
from bm_sim2real.operation.playlist import Playlist
from bm_sim2real.operation.supervisor import Supervisor
from bm_sim2real.timing_window import TimingWindow
from bm_sim2real.state_machine import StateMachine

_TIMING_EVERY = 50
"""Control steps between two publications of the timing (1 s)."""


class ActiveRun:
    """From activation to damping."""

    def __init__(
        self,
        config: ControlConfig,
        channel: Channel,
        client: BridgeClient,
        machine: StateMachine,
        playlist: Playlist,
    ) -> None:
        self._config, self._channel, self._client, self._machine = config, channel, client, machine
        self._loop = BridgedLoop(client, machine, self)
        self._supervisor = Supervisor(machine, client, playlist, config, channel.send)
        self._playlist = playlist
        self._period, self._policy = TimingWindow(), TimingWindow()
        self._stepped_at: float | None = None
        self._number = 0
        self._lost = 0
        self._taken: tuple[RobotState, LowCommand, float] | None = None

    def run(self) -> None:
        """Until told to end, or until the bridge or the node is gone. Always damps first."""
        reason, request = "", None
        try:
            while request is None:
                self._step()
                request = self._obey()
        except ChannelClosed:
            self._client.estop()
            self._loop.damp(self._config.exit_damping_s)
            raise
        except RobotError as error:
            reason = str(error)
        self._loop.damp(self._config.exit_damping_s)
        self._channel.send(Ended(reason=reason, notes={**self._loop.notes(), "timing_ms": self._timing_ms()}))
        if request is not None:
            self._channel.send(Answer(id=request.id, is_granted=True, text="damped"))

    def on_step(self, state: RobotState, machine: StateMachine, written: LowCommand, policy_s: float) -> None:
        """As a listener of the loop."""
        self._taken = state, written, policy_s

    def _step(self) -> None:
        self._loop.step()
        now = time.perf_counter()
        if self._stepped_at is not None:
            self._period.add(now - self._stepped_at)
        self._stepped_at = now
        assert self._taken is not None
        self._policy.add(self._taken[2])
        self._number += 1
        self._supervisor.after_step(self._taken[0])
        self._lost += not self._channel.send(self._record(*self._taken))

    def _obey(self) -> Request | None:
        """Answers what has come; returns the request to end."""
        assert self._taken is not None
        while (message := self._channel.receive(0.0)) is not None:
            if isinstance(message, Request) and message.verb is Verb.DEACTIVATE:
                return message
            elif isinstance(message, Request):
                self._channel.send(self._supervisor.answer(message, self._taken[0]))
        return None

    def _record(self, state: RobotState, command: LowCommand, policy_s: float) -> Step:
        machine, output = self._machine, self._machine.output
        clip = self._playlist.selected
        frame = machine.policy.present_frame if output is not None else None
        return Step(
            number=self._number,
            wall_s=time.time(),
            state=state,
            command=command,
            lease=self._client.lease,
            mode=machine.mode,
            is_armed=self._client.is_armed,
            policy_s=policy_s,
            fault=self._loop.fault,
            held=self._supervisor.held,
            motion=clip.name,
            is_playing=self._supervisor.is_playing,
            motion_frame=machine.clip_frame if self._supervisor.is_playing else 0,
            motion_frames=clip.num_frames,
            observation=None if output is None else output.observation,
            action=None if output is None else output.action,
            frame=-1 if output is None else output.frame,
            reference_joint_pos=None if frame is None else frame.joint_pos,
            reference_body_pos_w=None if frame is None else frame.body_pos_w,
            reference_body_quat_w=None if frame is None else frame.body_quat_w,
            timing_ms=self._timing_ms() if self._number % _TIMING_EVERY == 0 else {},
            lost=self._lost,
        )

    def _timing_ms(self) -> dict[str, dict[str, float]]:
        return {
            "period": self._period.percentiles_ms(),
            "policy": self._policy.percentiles_ms(),
            "command_age": self._client.status().get("timing_ms", {}).get("command_age", {}),
        }
