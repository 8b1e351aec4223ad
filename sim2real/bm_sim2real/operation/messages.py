"""What crosses between a node and its control process. Plain values that pickle."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.state import LowCommand, RobotState
from bm_sim2real.faults import Fault
from bm_sim2real.modes import Mode

Array = NDArray[np.float64]


class Verb(str, Enum):
    """What an operator can ask for."""

    ACTIVATE = "activate"
    """Attach to the bridge and begin the control loop; the robot stays in DAMPING unless the config says otherwise."""
    DEACTIVATE = "deactivate"
    """Damp, give the lease back, end the loop."""
    ARM = "arm"
    ESTOP = "estop"
    RESET = "reset"
    SET_MODE = "set_mode"
    """Argument: a Mode."""
    SELECT = "select"
    """Argument: a motion's name, or +1 and -1."""
    PLAY = "play"
    """Argument: a motion's name, empty for the selected one. `Played` with the same id tells how it ended."""
    BRAKE = "brake"
    DISARM = "disarm"
    """Only from the control process to the far end of a link."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One wish; `Answer` has the same id."""

    id: int
    verb: Verb
    argument: str = ""


@dataclass(frozen=True, kw_only=True)
class LinkReading:
    """Topic transport: what the far end of the link says now."""

    state: RobotState
    is_armed: bool
    fault: str
    """Empty if there is none."""
    holds: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Told:
    """Topic transport: the far end's answer to an Ask."""

    verb: Verb
    is_granted: bool
    text: str
    """Of a granted ARM: the lease."""


@dataclass(frozen=True)
class Wish:
    """What a guided policy shall do from now on; to be repeated, as silence brakes."""

    goal: GuidanceGoal


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Whether a request was granted, and what there is to say about it."""

    id: int
    is_granted: bool
    text: str


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The policy is loaded and proven, the motions are read, the network is warm."""

    description: dict[str, Any]
    """What the policy expects and gives: path, contract, sha256 of the graph."""
    motions: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """The control process cannot run with this configuration and has ended."""

    reason: str


@dataclass(frozen=True)
class Note:
    """Something for the log."""

    text: str
    is_warning: bool = False


@dataclass(frozen=True, kw_only=True)
class Played:
    """How a PLAY request ended."""

    id: int
    is_completed: bool
    text: str


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Topic transport: what the control process wants from the far end."""

    verb: Verb


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The loop has ended, damping."""

    reason: str
    """Empty if it was asked to."""
    notes: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One control step as it went to the bridge."""

    number: int
    """Counts steps since activation."""
    wall_s: float
    """time.time() when the command was put."""
    state: RobotState
    command: LowCommand
    lease: int
    mode: Mode
    is_armed: bool
    policy_s: float
    fault: Fault | None
    held: str
    """Why no motion is started; empty if one may be."""
    motion: str
    """Selected."""
    is_playing: bool
    motion_frame: int
    """Of the selected motion; negative while the entry blend runs."""
    motion_frames: int
    observation: NDArray[np.float32] | None
    """(N,) None where the policy took no part, as action and frame."""
    action: NDArray[np.float32] | None
    frame: int
    reference_joint_pos: Array | None
    """(29,) rad, of the frame that the step aimed at; None without a reference."""
    reference_body_pos_w: Array | None
    """(30, 3) m"""
    reference_body_quat_w: Array | None
    """(30, 4) wxyz"""
    plan_xy: Array | None = None
    """(N, 2) m, way of the pelvis that the newest plan of a guided policy means to go; None without a new plan."""
    timing_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    """period, policy, command_age -> p50, p99, max since activation; once a second, else empty."""
    lost: int = 0
    """Steps before this one that could not be sent."""
