"""Random command streams: stand, go, change every few seconds, stop at any phase of a step, go on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT
from bm_core.locomotion.config import GaitConfig

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """What a stream asks for. Speeds are bounded by the gait's own limits."""

    shortest: float = 1.0
    """Time between two commands, s."""
    longest: float = 4.0
    """The same, s."""
    lead_in: tuple[float, float] = (0.6, 1.2)
    """Standing before the first command, s."""
    lead_out: float = 3.0
    """Command zero at the end, s: braking, closing step, standing."""
    accel_range: tuple[float, float] = (0.8, 2.0)
    """Factor on the gait's slew limits, drawn once a stream."""
    stop_share: float = 0.08
    """Share of the commands that ask for standing."""
    turn_share: float = 0.10
    """Share of the commands that ask for turning on the spot."""

    def __post_init__(self) -> None:
        if min(self.stop_share, self.turn_share) < 0.0 or self.stop_share + self.turn_share > 1.0:
            raise ConfigError(
                f"stream: shares {self.stop_share} of stops and {self.turn_share} of turns; "
                "they are 0 or more, 1 together at most"
            )
        if not 0.2 <= self.shortest <= self.longest:
            raise ConfigError(
                f"stream: {self.shortest} s to {self.longest} s between commands; 0.2 <= shortest <= longest"
            )


_AXES = {
    "forward": (1.0, 0.0, 0.0),
    "arc": (1.0, 0.0, 1.0),
    "sideways": (0.0, 1.0, 0.0),
    "turn": (0.0, 0.0, 1.0),
    "any": (1.0, 1.0, 1.0),
    "stop": (0.0, 0.0, 0.0),
}
"""Kinds of commands, and the axes that move."""
_OTHERS = {"forward": 0.24, "arc": 0.24, "sideways": 0.12, "any": 0.22}
"""How what stops and turns leave is shared."""


def sample_stream(
    num_frames: int, rng: np.random.Generator, config: StreamConfig, gait: GaitConfig
) -> tuple[Array, GaitConfig]:
    """Commands (num_frames, 3) and the gait they are walked with (slew, clearance and first foot differ by stream)."""
    commands = np.zeros((num_frames, 3))
    frame = round(rng.uniform(*config.lead_in) / CONTROL_DT)
    end = num_frames - round(config.lead_out / CONTROL_DT)
    if frame >= end:
        raise ConfigError(f"stream: {num_frames * CONTROL_DT:.1f} s is too short; at least 6 s")
    while frame + config.shortest / CONTROL_DT <= end:
        length = round(rng.uniform(config.shortest, config.longest) / CONTROL_DT)
        commands[frame : min(frame + length, end)] = sample_command(rng, config, gait)
        frame += length
    factor = rng.uniform(*config.accel_range)
    style = replace(
        gait,
        max_accel=tuple(limit * factor for limit in gait.max_accel),
        swing_clearance=gait.swing_clearance + rng.uniform(-0.01, 0.01),
        first_step="left" if rng.random() < 0.5 else "right",
    )
    return commands, style


def sample_command(rng: np.random.Generator, config: StreamConfig, gait: GaitConfig) -> Array:
    """One command (3,): vx, vy m/s, wz rad/s. Mixed ones lie in the ellipsoid whose axes are the single limits."""
    left = (1.0 - config.stop_share - config.turn_share) / sum(_OTHERS.values())
    by_kind = {"turn": config.turn_share, "stop": config.stop_share} | {name: left * s for name, s in _OTHERS.items()}
    shares = np.array([max(by_kind[name], 0.0) for name in _AXES])
    axes = np.array(list(_AXES.values())[rng.choice(len(shares), p=shares / shares.sum())])
    direction = rng.uniform(-1.0, 1.0, 3) * axes
    norm = float(np.linalg.norm(direction))
    if norm == 0.0:
        return np.zeros(3)
    # Fast ones somewhat more often than slow ones: accelerating eats into their time.
    unit = direction / norm * rng.uniform(0.05, 1.0) ** 0.7
    limits = np.array(gait.max_speed)
    # Forwards twice as often as backwards: that range is twice as long.
    if axes[0] and unit[0] < 0.0:
        if rng.random() < 1.0 / 3.0:
            unit[0] = -unit[0]
        else:
            limits[0] = gait.max_backward
    return unit * limits
