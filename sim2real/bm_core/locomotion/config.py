"""Every number of the gait."""

from __future__ import annotations

from dataclasses import dataclass

from bm_core.errors import ConfigError

SOLE_HEIGHT = 0.035
"""Height of the ankle-roll origin above the floor when the sole lies flat, m."""

GRAVITY = 9.81
"""m/s^2"""

COM_HEIGHT = 0.67
"""Of the standing robot, m; the first guess that the refinements start from."""


@dataclass(frozen=True, kw_only=True)
class GaitConfig:
    """How the robot walks. Frames are of 20 ms."""

    swing_frames: int = 18
    """Single support of a slow step."""
    double_support_frames: int = 4
    """Double support of a slow step."""
    fast_saving: int = 1
    """Frames by which each of the two is shorter at full forward speed."""
    side_saving: int = 3
    """Frames by which the swing is shorter still in a full-speed sidestep: the ankle roll range limits its width."""
    shift_frames: int = 22
    """Weight shift from standing before the first foot lifts."""
    settle_frames: int = 24
    """From the closing step's touch-down until the weight is centred and standing."""

    walk_width: float = 0.215
    """Lateral distance between the ankles at speed, m."""
    stand_width: float = 0.237
    """The same when standing, m; that of the default pose."""
    min_width: float = 0.20
    """Ankles never come closer sideways than this, m: a sidestep closes to it."""
    swing_clearance: float = 0.06
    """Apex of the swinging sole above the floor, m."""
    toe_drop: float = 0.25
    """Pitch of the foot behind the body just after it lifts, rad s/m of forward speed: the heel leads."""

    pelvis_height: float = 0.755
    """Pelvis origin above the floor when strides allow it, m."""
    leg_reach: float = 0.614
    """Longest hip-roll axis to ankle distance, m; 0.624 is the straight knee."""

    zmp_forward: float = 0.033
    """Where in the sole the weight stands, m ahead of the ankle; the sole reaches from -0.064 to 0.142."""
    zmp_inward: float = 0.008
    """The same sideways, m towards the other foot; the sole's half width is 0.036."""
    zmp_roll: float = 0.045
    """Heel-to-toe travel of the weight in single support at 1 m/s, m to either side."""

    max_speed: tuple[float, float, float] = (1.2, 0.4, 1.0)
    """Half axes of the ellipsoid that commands are scaled into: forward m/s, sideways m/s, turning rad/s."""
    max_backward: float = 0.6
    """The same backwards, m/s."""
    max_accel: tuple[float, float, float] = (1.0, 0.8, 2.0)
    """Slew of the commanded velocity: m/s^2, m/s^2, rad/s^2."""

    arm_swing: float = 0.55
    """Shoulder pitch per fore-aft distance of the feet, rad/m."""
    pelvis_swing: float = 0.12
    """Pelvis yaw per fore-aft distance of the feet, rad/m; the waist turns back."""
    lean: float = 0.04
    """Forward pitch of the torso per forward speed, rad s/m."""

    first_step: str = "left"
    """Foot that starts a straight walk; sidesteps and turns start with the foot on their side."""
    refinements: int = 3
    """Passes that move the CoM so that the ZMP of all 30 bodies, not of a point mass, follows the plan."""

    foot_tilt_margin: float = 0.02
    """Ankle joints of a foot in the air stay this far inside their range, rad; it tilts rather than lie flat."""

    def __post_init__(self) -> None:
        if self.first_step not in ("left", "right"):
            raise ConfigError(f"gait.first_step = {self.first_step!r}: must be left or right")
        if self.min_width < 0.15:
            raise ConfigError(f"gait.min_width = {self.min_width}: below 0.15 m the shins touch; default 0.20")
        if not 0.5 < self.leg_reach < 0.622:
            raise ConfigError(f"gait.leg_reach = {self.leg_reach}: must lie in 0.5..0.622 m (0.624: straight knee)")
        if self.swing_frames < 10 or self.double_support_frames - self.fast_saving < 2:
            raise ConfigError("gait: a step needs 10 frames of swing and, at full speed, 2 of double support")
