"""Every number of the estimator: how far each sensor is believed, when a foot is taken to stand, when to cry wolf."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from bm_core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ContactConfig:
    """When a foot counts as standing."""

    force_share: float = 0.08
    """Vertical force at which contact is as likely as not, as a share of the robot's weight."""
    force_width: float = 0.02
    """Width of that transition, share of the weight."""
    force_per_speed: float = 0.3
    """What is needed on top for each m/s at which the sole seems to move: a sole that scuffs does not stand."""
    max_speed: float = 2.0
    """m/s, from where on speed counts no further: a wrong velocity must not blind the filter to its feet for ever."""
    height: float = 0.03
    """Height of the sole above the lower foot's at which contact is as likely as not, m."""
    height_width: float = 0.006
    """Width of that transition, m."""
    filter_s: float = 0.004
    """Time constant of the leg's dynamics residual, s."""
    damping: float = 0.02
    """Of the inverse from joint torques to the contact wrench; keeps a straight knee from inventing forces."""
    edge_width: float = 0.002
    """Sole points this much higher than the lowest (m) share the load e times less: where the foot rolls."""


@dataclass(frozen=True, kw_only=True)
class HealthConfig:
    """When the estimate is no longer to be trusted."""

    nis_limit: float = 0.2
    """Innovation squared over its own variance, per measurement, filtered; 0.1 at most on the shipped clips."""
    sliding_limit: float = 0.7
    """m/s, speed of the most loaded sole, filtered: a robot that slides on all it stands on, or a wrong velocity."""
    filter_s: float = 0.2
    """Time constant of both filters, s."""
    bias_limit: float = 0.8
    """m/s^2; a bias beyond it is a broken accelerometer or a wrong attitude."""
    max_speed: float = 6.0
    """m/s; faster is no G1."""
    max_height: float = 2.0
    """m, pelvis above the floor; 0 or less is implausible as well."""
    max_flight_s: float = 1.0
    """s without any foot on the floor: longer than any jump, so the robot is carried and taken to be at rest."""
    frozen_s: float = 0.1
    """s of bit-equal readings of accelerometer or gyro; a living sensor has noise."""
    moving_leg: float = 0.5
    """rad/s of some joint, from where on a leg moves: the other one cannot be so still that its encoders repeat."""
    max_velocity_sigma: float = 0.5
    """m/s, standard deviation of the velocity by the filter's own account."""
    recovery_s: float = 1.0
    """s without complaint until the estimate counts as healthy again."""


@dataclass(frozen=True, kw_only=True)
class EstimatorConfig:
    """Noise model of the filter: standard deviations, white per square root of a second unless said otherwise."""

    accelerometer: float = 0.1
    """m/s^2 sqrt(s): what integrates wrongly, attitude errors included."""
    accelerometer_bias: float = 0.02
    """m/s^2 / sqrt(s): how fast the bias wanders."""
    initial_bias: float = 0.1
    """m/s^2, of the bias at reset."""
    foot_slip: float = 0.01
    """m / sqrt(s): wandering of a standing foot."""
    slip_speed: float = 0.5
    """m/s at which a loaded sole is believed half: belief = 1 / (1 + (speed / slip_speed)^2)."""
    least_trust: float = 0.05
    """Belief in a loaded sole however fast it seems: else a wrong velocity disproves the feet that could correct it."""
    carried_speed: float = 0.3
    """m/s, standard deviation of the velocity of a robot that is carried."""
    swing_trust: float = 1e-4
    """Least belief that a foot stands: a swinging foot wanders 1 / swing_trust times more."""
    kinematics: float = 0.003
    """m, foot relative to the pelvis by encoders, each reading."""
    floor_height: float = 0.01
    """m, height of a standing sole, each reading; divided by the square of the contact probability."""
    contact: ContactConfig = field(default_factory=ContactConfig)
    health: HealthConfig = field(default_factory=HealthConfig)

    def __post_init__(self) -> None:
        for part in (self, self.contact, self.health):
            for item in fields(part):
                value = getattr(part, item.name)
                if isinstance(value, float) and not value > 0.0:
                    raise ConfigError(f"estimator: {item.name} = {value}: must be above 0")
