"""What the robot is asked to do: one value that operators, scripts and ROS send and the planner obeys."""

from __future__ import annotations

from dataclasses import dataclass

from bm_core.diffusion.guidance.keyframe import Keyframes
from bm_core.diffusion.guidance.obstacle import Obstacle


@dataclass(frozen=True, kw_only=True)
class GuidanceGoal:
    """A wish. Velocities are in the robot's yaw frame, places in the world (`odom`). Several fields add up."""

    velocity: tuple[float, float, float] | None = None
    """Forward and left m/s, yaw rate rad/s."""
    waypoint: tuple[float, float] | None = None
    """m; walk there and stop."""
    heading: float | None = None
    """rad, world; how to stand at the waypoint."""
    height: float | None = None
    """m of the pelvis above the floor."""
    obstacles: tuple[Obstacle, ...] = ()
    """To be kept clear of."""
    keyframes: Keyframes | None = None
    """To be passed through."""

    @property
    def is_empty(self) -> bool:
        """Whether it asks for no motion: the robot brakes and stands."""
        return self.velocity is None and self.waypoint is None and self.keyframes is None
