"""A node's side of its control process: starts it, asks it, hears it, and ends it after damping."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from bm_core.errors import RobotError
from bm_sim2real.operation.channel import Channel, ChannelClosed
from bm_sim2real.operation.config import ControlConfig
from bm_sim2real.operation.messages import Answer, Ready, Refused, Request, Verb

_MODULE = "bm_sim2real.operation.control_process"
_START_S = 60.0
_END_S = 10.0


class ControlClient:
    """One control process. Events come on a thread of their own, so `on_event` must not wait for an answer."""

    def __init__(self, config: ControlConfig, on_event: Callable[[Any], None]) -> None:
        """`on_event` gets Step, Note, Played, Ended, Ask, and ChannelClosed when the process has died."""
        self._config, self._on_event = config, on_event
        self._ids = itertools.count(1)
        self._waiting: dict[int, Future[Answer]] = {}
        self._is_closing = False
        self._channel: Channel | None = None

    def start(self) -> Ready:
        """Starts the process and waits until the policy is proven. RobotError with its reason if it refuses."""
        channel, theirs = Channel.pair()
        # A session of its own: Ctrl-C in a terminal ends the node, and the node ends the loop.
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, self._config.to_json(), str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        theirs.close()
        try:
            ready = channel.receive(_START_S)
        except ChannelClosed:
            ready = None
        if not isinstance(ready, Ready):
            channel.close()
            self._wait()
            reason = ready.reason if isinstance(ready, Refused) else "the control process has died; see above"
            raise RobotError(reason)
        self._channel = channel
        self._thread = threading.Thread(target=self._listen, args=(channel,), name="control events", daemon=True)
        self._thread.start()
        return ready

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def request(self, verb: Verb, argument: str = "", timeout_s: float = 5.0) -> Answer:
        """Asks and waits. RobotError if the process is gone or does not answer."""
        identity = next(self._ids)
        answer: Future[Answer] = Future()
        self._waiting[identity] = answer
        try:
            if not self._send(Request(id=identity, verb=verb, argument=argument)):
                raise RobotError(f"{verb.value}: the control process does not listen")
            return answer.result(timeout_s)
        except FutureTimeout:
            raise RobotError(f"{verb.value}: no answer in {timeout_s:g} s") from None
        finally:
            self._waiting.pop(identity, None)

    def activate(self) -> str:
        """Begins the control loop. RobotError if the bridge or its robot does not answer; else what was found."""
        answer = self.request(Verb.ACTIVATE, timeout_s=self._config.ready_s + _END_S)
        if not answer.is_granted:
            raise RobotError(answer.text)
        return answer.text

    def deactivate(self) -> None:
        """Damps, then ends the control loop. RobotError if the process is gone."""
        self.request(Verb.DEACTIVATE, timeout_s=self._config.exit_damping_s + _END_S)

    def send(self, message: Any) -> None:
        """Topic transport: what the far end says."""
        self._send(message)

    def close(self) -> None:
        """Ends the process; if its loop still runs, it damps first. Harmless the second time."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        self._is_closing = True
        channel.shutdown()
        self._thread.join(_END_S)
        self._wait()
        channel.close()

    def _send(self, message: Any) -> bool:
        if self._channel is None:
            return False
        try:
            return self._channel.send(message)
        except ChannelClosed:
            return False

    def _wait(self) -> None:
        try:
            self._process.wait(self._config.exit_damping_s + _END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self, channel: Channel) -> None:
        try:
            while True:
                message = channel.receive(None)
                if isinstance(message, Answer):
                    waiting = self._waiting.get(message.id)
                    if waiting is not None:
                        waiting.set_result(message)
                else:
                    self._on_event(message)
        except ChannelClosed as closed:
            for waiting in list(self._waiting.values()):
                if not waiting.done():
                    waiting.set_exception(RobotError("the control process has ended"))
            if not self._is_closing:
                self._on_event(closed)
