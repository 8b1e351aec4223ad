"""How hard guidance pulls: weights, scales and levels, tuned in closed loop for a model and carried by its bundle."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from bm_core import strict_json
from bm_core.errors import BundleError, ConfigError


@dataclass(frozen=True, kw_only=True)
class GuidanceSpec:
    """One model's guidance. Scale and limits are those of `sampler.Guidance`; weights are of the costs in the sum."""

    scale: float = 2.0
    max_weight: float = 1.0
    max_step: float = 0.5
    """Normalised units a token and pass"""
    min_level: int = 1
    max_level: int = 20
    coupling: float = 1.0
    """How much pulls on places are also pulls on the velocities that lead there; see cost.WeightedCosts."""
    velocity_weight: float = 1.0
    yaw_rate_weight: float = 1.0
    sway: float = 0.2
    """Of both; see joystick.Velocity."""
    approach_weight: float = 1.0
    """Of the way to a waypoint as velocities; see approach.Approach"""
    approach_forward: float = 0.6
    """m/s at most, ahead; the same for the following"""
    approach_backward: float = 0.3
    approach_sideways: float = 0.25
    approach_braking: float = 0.4
    """m/s^2"""
    approach_within: float = 0.1
    """m from a waypoint within which the robot stands"""
    waypoint_weight: float = 0.0
    """Of the paper's waypoint cost; 0: not used"""
    waypoint_cap: float = 0.3
    """m; small, or the robot would run to far places and creep to near ones"""
    waypoint_decay: float = 5.0
    """1/m; the paper's 2 begins to stop the robot a metre before the place"""
    speed_limit: float = 0.7
    """m/s on the way to waypoints by the paper's cost"""
    speed_limit_weight: float = 1.0
    turn_gain: float = 1.0
    """1/s: yaw rate for each rad that the robot faces away from where it goes, or from how it shall stand."""
    turn_limit: float = 0.6
    """rad/s"""
    turn_distance: float = 0.5
    """m from the waypoint within which the robot no longer turns towards it."""
    obstacle_weight: float = 0.03
    obstacle_delta: float = 0.1
    """m"""
    obstacle_reach: float = 0.4
    """m of clearance"""
    way_ahead_weight: float = 3.0
    """Of what lies on the way beyond the horizon; see way_ahead.WayAhead"""
    way_ahead_s: float = 2.5
    """s"""
    height_weight: float = 1.0
    smoothness_weight: float = 0.0
    slew: float = 1.5
    """m/s^2 at which the velocity that plans are pulled to approaches the goal's; a command may leap, a robot cannot"""
    turn_slew: float = 3.0
    """rad/s^2, the same for the yaw rate"""
    trim_gain: float = 0.0
    """1/s; 0: goals are not trimmed."""
    trim_limit: float = 0.3
    """m/s and rad/s that a trim may add"""

    def __post_init__(self) -> None:
        if not 0 <= self.min_level <= self.max_level:
            raise ConfigError(f"guidance levels {self.min_level}..{self.max_level}: 0 <= min_level <= max_level")
        for name in (
            "max_weight",
            "max_step",
            "waypoint_cap",
            "waypoint_decay",
            "obstacle_delta",
            "slew",
            "turn_slew",
            "approach_forward",
            "approach_backward",
            "approach_sideways",
            "approach_braking",
        ):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"guidance.{name} = {getattr(self, name)}: must be above 0")
        if not self.obstacle_reach > self.obstacle_delta:
            raise ConfigError(
                f"guidance.obstacle_reach = {self.obstacle_reach} m: must be above obstacle_delta "
                f"({self.obstacle_delta} m)"
            )


def read_guidance(path: str | Path, base: GuidanceSpec | None = None) -> GuidanceSpec:
    """From a JSON file that names what differs from `base` (default: the defaults).

    ConfigError if it cannot be read, names something unknown or gives another type than a number.
    """
    path = Path(path)
    try:
        given = strict_json.parse_object(path.read_text(), path.name)
        return strict_json.build(GuidanceSpec, {**dataclasses.asdict(base or GuidanceSpec()), **given}, path.name)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except BundleError as error:
        raise ConfigError(str(error)) from error
