"""The control process: policy, state machine and mailbox in a process of their own, `python -m ... CONFIG FD`.

A node of ROS 2 starts it and talks to it through a Channel. What the node's executor does, and its garbage collector,
cannot hold up a control step; if the node dies, the channel closes, and the robot damps at once.
"""

from __future__ import annotations

import gc
import signal
import sys
from typing import Any

from bm_core.errors import BmError, RobotError
from bm_core.g1 import G1
from bm_core.reference import ReferenceFrame
from bm_core.state import RobotState
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.features import bridged_features
from bm_sim2real.bridge.realtime import make_realtime
from bm_sim2real.operation.active_run import ActiveRun
from bm_sim2real.operation.channel import Channel, ChannelClosed
from bm_sim2real.operation.config import ControlConfig, Start
from bm_sim2real.operation.description import describe
from bm_sim2real.operation.messages import Answer, Ready, Refused, Request, Verb
from bm_sim2real.operation.playlist import load_playlist
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.standing import plan_stop, standing_frame
from bm_sim2real.state_machine import MachineConfig, StateMachine

PRIORITY = 50
_SWITCH_S = 0.0005
"""Longest that the thread which plans a stop keeps the loop waiting."""


class ControlProcess:
    """Loaded once; activated and deactivated as often as the node likes."""

    def __init__(self, config: ControlConfig, channel: Channel) -> None:
        """Loads and proves everything. BmError if anything is refused."""
        self._config, self._channel = config, channel
        features = bridged_features(BridgeConfig(interface=config.interface))
        policy, path = load_policy(config, features)
        self._playlist = load_playlist(config.motion, config.motion_set, config.motion_root)
        stand = standing_frame()
        warm_up(policy, stand)
        self._machine = StateMachine(
            policy, stand, features, plan_stop=plan_stop, config=MachineConfig(plans_in_background=True)
        )
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
        try:
            client = BridgeClient(self._config.interface, ready_s=self._config.ready_s)
            if self._config.start is not Start.MANUAL and client.fault is not None:
                client.reset()
        except RobotError as error:
            self._channel.send(Answer(id=request.id, is_granted=False, text=str(error)))
            return
        self._machine.reset()
        self._machine.damp()
        guardian, writer = client.pids
        granted = f"bridge: processes {guardian} and {writer}; {make_realtime(PRIORITY)}"
        self._channel.send(Answer(id=request.id, is_granted=True, text=granted))
        ActiveRun(self._config, self._channel, client, self._machine, self._playlist).run()


def load_policy(config: ControlConfig, features: Any) -> tuple[TrackerPolicy, str]:
    """The proven policy, and its path."""
    from bm_core.data import shipped

    path = config.policy or str(shipped("policies", "g1_tracker.onnx"))
    return TrackerPolicy.load(path, config.provider, features), path


def warm_up(policy: TrackerPolicy, stand: ReferenceFrame) -> None:
    """A second of control steps before any counts: the first inferences take ten times as long."""
    from bm_sim2real.blend import still

    zero = G1.default_joint_pos * 0.0
    state = RobotState(
        seq=0,
        time=0.0,
        joint_pos=G1.default_joint_pos,
        joint_vel=zero,
        joint_torque=zero,
        pelvis_quat_w=stand.body_quat_w[0],
        pelvis_gyro_b=zero[:3],
        pelvis_acc_b=zero[:3],
        pelvis_pos_w=stand.body_pos_w[0],
        pelvis_lin_vel_b=zero[:3],
    )
    policy.reset(still(stand))
    for _ in range(50):
        policy.step(state)


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
