"""What the robot is doing, as policy, guard and operator all call it."""

from __future__ import annotations

from enum import Enum


class Mode(str, Enum):
    """DAMPING -> HANG -> STAND -> RUNNING -> BRAKE -> STAND; a latched fault or ESTOP means DAMPING from anywhere."""

    DAMPING = "damping"
    """Joints brake, nothing holds: safe for a robot that is carried or lies, a slow collapse for one that stands."""
    HANG = "hang"
    """PD ramp to the default pose. Only on the gantry: on PD alone a standing G1 falls in 1.4 s."""
    STAND = "stand"
    """The tracker follows a standing reference."""
    RUNNING = "running"
    """The tracker follows a motion."""
    BRAKE = "brake"
    """The tracker follows a stop from the present speed."""

    @property
    def is_tracking(self) -> bool:
        """Whether a policy balances the robot."""
        return self in (Mode.STAND, Mode.RUNNING, Mode.BRAKE)
