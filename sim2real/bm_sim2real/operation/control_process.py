"""The control process: policy, state machine and mailbox in a process of their own, `python -m ... CONFIG FD`.

A node of ROS 2 starts it and talks to it through a Channel. What the node's executor does, and its garbage collector,
cannot hold up a control step; if the node dies, the channel closes, and the robot damps at once.
"""

from __future__ import annotations

import gc
import signal
import sys

from bm_core.errors import BmError, RobotError
from bm_sim2real.bridge.realtime import make_realtime
from bm_sim2real.operation.active_run import ActiveRun
from bm_sim2real.operation.channel import Channel, ChannelClosed
from bm_sim2real.operation.config import ControlConfig
from bm_sim2real.operation.description import describe
from bm_sim2real.operation.guided_run import GuidedRun
from bm_sim2real.operation.loading import load_machine
from bm_sim2real.operation.messages import Answer, Ready, Refused, Request, Verb
from bm_sim2real.operation.playlist import load_playlist

PRIORITY = 50
_SWITCH_S = 0.0005
"""Longest that the thread which plans a stop keeps the loop waiting."""


class ControlProcess:
    """Loaded once; activated and deactivated as often as the node likes."""

    def __init__(self, config: ControlConfig, channel: Channel) -> None:
        """Loads and proves everything. BmError if anything is refused."""
        self._config, self._channel = config, channel
        self._playlist = load_playlist(config.motion, config.motion_set, config.motion_root)
        self._machine, path = load_machine(config)
        self._guided = GuidedRun(self._machine) if config.planner else None  # type: ignore[arg-type]
        policy = self._machine.policy
        channel.send(
            Ready(description=describe(path, policy), motions=self._playlist.names, warnings=tuple(policy.warnings))
        )

    def serve(self) -> int:
        """Until the node is gone. Exit code 0."""
        try:
            while True:
                message = self._channel.receive(None)
                if isinstance(message, Request) and message.verb is Verb.ACTIVATE:
                    self._activate(message)
                elif isinstance(message, Request):
                    text = f"{message.verb.value}: refused: the policy is not active"
                    is_granted = message.verb is Verb.DEACTIVATE
                    self._channel.send(Answer(id=message.id, is_granted=is_granted, text=text))
        except ChannelClosed:
            return 0

    def _activate(self, request: Request) -> None:
        self._machine.reset()
        self._machine.damp()
        try:
            run = ActiveRun(self._config, self._channel, self._machine, self._playlist, self._guided)
        except RobotError as error:
            self._channel.send(Answer(id=request.id, is_granted=False, text=str(error)))
            return
        granted = f"{run.found}; {make_realtime(PRIORITY)}"
        self._channel.send(Answer(id=request.id, is_granted=True, text=granted))
        run.run()


def main(arguments: list[str]) -> int:
    """Exit code 0, or 2 if the configuration was refused; the reason went through the channel."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to everyone; the node decides when it ends
    channel = Channel.inherited(int(arguments[1]))
    sys.setswitchinterval(_SWITCH_S)
    try:
        process = ControlProcess(ControlConfig.from_json(arguments[0]), channel)
    except BmError as error:
        channel.send(Refused(str(error)))
        return 2
    except ChannelClosed:
        return 0
    gc.collect()
    gc.freeze()  # what the start left is not looked at again: a whole collection would outlast a period
    return process.serve()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
