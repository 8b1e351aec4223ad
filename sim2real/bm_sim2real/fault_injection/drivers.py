"""Who commands the robot of a rig: one that holds a pose on the gantry, and the shipped tracker, walking."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from bm_core.data import shipped
from bm_core.g1 import G1
from bm_core.motion import MotionClip, load_clip
from bm_core.state import LowCommand, RobotState
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.features import bridged_features
from bm_sim2real.evaluation import put_on_frame
from bm_sim2real.fault_injection.rig import FaultyBody, Rig
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.standing import plan_stop, standing_frame
from bm_sim2real.state_machine import StateMachine

_ZERO = np.zeros(len(G1.joint_names))
_STAND_STEPS = 25
"""Control steps (0.5 s) of standing before the walk."""


class HoldPose:
    """Counts, and says the same again and again: whatever moves then, moved because of a fault."""

    warm_up = 300

    def __init__(self, mode: Mode = Mode.RUNNING) -> None:
        self.mode = mode
        self._seq = 0

    def place(self, body: FaultyBody) -> None:
        """On the gantry."""
        body.hang()

    def step(self, state: RobotState, rig: Rig) -> PolicyCommand:
        """The default pose."""
        self._seq += 1
        q, kp, kd = G1.default_joint_pos, G1.kp, G1.kd
        low = LowCommand(seq=self._seq, state_seq=state.seq, q=q, dq=_ZERO, tau=_ZERO, kp=kp, kd=kd)
        return PolicyCommand(low=low, mode=self.mode)


class Walk:
    """State machine and tracker as in `bm run --robot hardware`: stands, then walks a shipped stream."""

    def __init__(self, policy: Path | None = None, warm_up: int = 1500) -> None:
        """`policy`: the walking tracker's bundle; None: the shipped one.

        `warm_up`: ticks of standing and walking before a fault; other numbers meet other phases of a step.
        """
        self.warm_up = warm_up
        features = bridged_features(BridgeConfig())
        self.machine = StateMachine(walking_tracker(policy), standing_frame(), features, plan_stop=plan_stop)
        self._steps = 0

    def place(self, body: FaultyBody) -> None:
        """Free on the floor."""
        put_on_frame(body, standing_frame())

    def step(self, state: RobotState, rig: Rig) -> PolicyCommand:
        """As BridgedLoop's, with the requests of an operator."""
        machine = self.machine
        machine.bridge_holds = rig.client.holds
        if self._steps == 0:
            machine.start_standing(state)
        elif self._steps == _STAND_STEPS:
            machine.play(walking_clip(), state)
        self._steps += 1
        command = machine.step(state)
        fault = rig.fault
        if fault is not None and machine.fault is None:
            machine.latch(fault)
        return command


@lru_cache(maxsize=2)
def walking_tracker(policy: Path | None = None) -> TrackerPolicy:
    """Loaded and proven once; a state machine resets it. None: the shipped tracker."""
    path = policy or shipped("policies", "g1_tracker.onnx")
    return TrackerPolicy.load(path, features=bridged_features(BridgeConfig()))


@lru_cache(maxsize=1)
def walking_clip() -> MotionClip:
    """Walks on for longer than any scenario."""
    return load_clip(shipped("motions", "stream_s2_000.npz"))
