"""What the runtime asks of a robot. The loop, the guard and the policies know only this."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from bm_core.state import LowCommand, RobotState


class BaseState(str, Enum):
    """Where position and linear velocity of the pelvis come from."""

    NONE = "none"
    """RobotState.pelvis_pos_w and pelvis_lin_vel_b are None."""
    ESTIMATE = "estimate"
    """From an estimator that sees what the robot sees."""
    GROUND_TRUTH = "ground_truth"
    """From the simulator: for measuring and for training-like tests, never for hardware."""


@dataclass(frozen=True, kw_only=True)
class RobotFeatures:
    """What a robot offers, known before connecting, so that a policy can be refused without moving anything."""

    model: str
    """Name of the RobotSpec, such as G1.name."""
    joint_names: tuple[str, ...]
    """Order of every joint array that crosses the protocol."""
    tick_dt: float
    """s between two writer ticks."""
    base_state: BaseState
    """Source of the pelvis position and velocity."""
    is_simulated: bool
    """A simulated robot may be stepped, reset and pushed."""


@runtime_checkable
class Robot(Protocol):
    """A robot that is read and written once per tick."""

    @property
    def features(self) -> RobotFeatures:
        """Valid before `connect`."""
        ...

    def connect(self) -> None:
        """Opens the link. Raises RobotError if the robot cannot be reached or is not the one expected."""
        ...

    def read(self) -> RobotState:
        """The newest reading, again with the same number if there is none newer. Raises RobotError if not connected."""
        ...

    def write(self, command: LowCommand) -> None:
        """Hands a command to the motors; it stays in force until the next. Raises RobotError if not connected."""
        ...

    def close(self) -> None:
        """Ends the link; harmless if there is none. The caller damps before it closes."""
        ...


@runtime_checkable
class SteppedRobot(Robot, Protocol):
    """A simulated robot: its time passes only in `step`, so that a run is the same on every machine."""

    def step(self) -> None:
        """Lets one tick pass under the commands written so far."""
        ...
