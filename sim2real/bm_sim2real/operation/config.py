"""Settings of a control process, as they travel to it from a node."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from enum import Enum

from bm_core.errors import ConfigError
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.real_time_factor import check_real_time_factor
from bm_sim2real.robots.unitree.dds import LOOPBACK


class Start(str, Enum):
    """How far a run goes by itself once it is activated."""

    MANUAL = "manual"
    """Nothing moves before an operator arms; the only choice on hardware."""
    STAND = "stand"
    """Arm, hang, stand, and wait there."""
    PLAY = "play"
    """Also play the selected motion, again and again."""


class Transport(str, Enum):
    """How commands reach the bridge."""

    MAILBOX = "mailbox"
    """Shared memory: bridge and policy on one computer, nothing between them."""
    TOPIC = "topic"
    """Through the node that owns the control process: another computer, or a bridge of somebody else's."""


@dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """One policy on one robot."""

    policy: str = ""
    """Policy bundle (.onnx); empty: the shipped g1_tracker.onnx."""
    provider: str = "cpu"
    """Execution provider of the network."""
    planner: str = ""
    """Diffusion bundle (.onnx): RUNNING is its, steered by goals; empty: the tracker plays motions."""
    planner_provider: str = "cpu"
    """Execution provider of the planner's network."""
    plan_latency_steps: int = 2
    """Control steps (20 ms) that a plan is expected to take."""
    motion: str = "walk_loop"
    """Name of a motion of the set, or a motion file."""
    motion_set: str = ""
    """Name or YAML file of a motion set; empty: the shipped clips."""
    motion_root: str = ""
    """Folder that replaces ${MOTIONS} in the motion set; empty: the variable BM_MOTIONS."""
    interface: str = LOOPBACK
    """Network interface of the robot, which names its bridge."""
    transport: Transport = Transport.MAILBOX
    start: Start = Start.MANUAL
    is_repeated: bool = False
    """Play the selected motion again when it has ended."""
    settle_s: float = 5.0
    """s of standing before the first motion that is played by itself: the simulated gantry lets go meanwhile."""
    pause_s: float = 1.0
    """s of standing between two motions that are played by themselves."""
    ready_s: float = 20.0
    """s to wait for the bridge on activation."""
    exit_damping_s: float = GuardLimits.exit_damping_s
    """s of damping when the loop ends."""
    stall_allowance_s: float = 0.0
    """s for which a simulated robot's computer may stand still: operator, goals, planner and link are missed later."""
    real_time_factor: float = 1.0
    """Simulated s per s of the wall clock, as the simulated robot and its bridge have it."""

    def __post_init__(self) -> None:
        for name in ("settle_s", "pause_s", "ready_s", "exit_damping_s"):
            value = getattr(self, name)
            if not 0.0 <= value < 1e6:
                raise ConfigError(f"{name} = {value}: must be a time >= 0 in s")
        if self.plan_latency_steps < 0:
            raise ConfigError(f"plan_latency_steps = {self.plan_latency_steps}: must be 0 or more control steps")
        if self.is_hardware and self.start is not Start.MANUAL:
            raise ConfigError(f"start = {self.start.value} on {self.interface}: a real robot is armed by an operator")
        if self.limits.allows_stalls and self.is_hardware:
            raise ConfigError(f"{self.interface}: a stall allowance is for the simulated robot (lo); leave it out")
        check_real_time_factor(self.real_time_factor, self.interface)

    @property
    def limits(self) -> GuardLimits:
        """Of the task guard and of whoever steers. ConfigError if the allowance makes no sense."""
        return GuardLimits().allowing_stalls(self.stall_allowance_s)

    @property
    def is_hardware(self) -> bool:
        """Whether a real robot is at the other end."""
        return self.interface != LOOPBACK

    def to_json(self) -> str:
        """For the command line of the control process."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ControlConfig:
        """The other way."""
        values = json.loads(text)
        return cls(**{**values, "transport": Transport(values["transport"]), "start": Start(values["start"])})
