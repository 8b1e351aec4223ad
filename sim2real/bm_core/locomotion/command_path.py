"""The path that a velocity command draws: slew-limited, integrated, grown only as far as the footstep planner looks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT
from bm_core.locomotion.config import GaitConfig

Array = NDArray[np.floating]

STILL = 0.02
"""Commands below this (m/s, rad/s) mean standing."""


class CommandPath:
    """Pose and body velocity per frame. Frame 0 is the start; later frames appear by `hold` and `follow`."""

    def __init__(self, commands: Array, config: GaitConfig, start: Array, velocity: Array) -> None:
        """`commands` (T, 3) m/s, m/s, rad/s in the yaw frame, checked; the last one goes on for ever."""
        self._commands = commands
        self._slew = [limit * CONTROL_DT for limit in config.max_accel]
        self._poses = [(float(start[0]), float(start[1]), float(start[2]))]
        self._velocities = [(float(velocity[0]), float(velocity[1]), float(velocity[2]))]

    def command(self, frame: int) -> Array:
        """The command at a frame, (3,)."""
        return self._commands[min(frame, len(self._commands) - 1)]

    def next_command(self, frame: int) -> int | None:
        """First frame from `frame` on at which the command says move, or None."""
        moving = np.flatnonzero(np.abs(self._commands[frame:]).max(axis=-1, initial=0.0) > STILL)
        if len(moving):
            return frame + int(moving[0])
        return frame if np.abs(self._commands[-1]).max() > STILL else None

    def hold(self, until: int) -> None:
        """Stand still up to and including frame `until`."""
        while len(self._poses) <= until:
            self._poses.append(self._poses[-1])
            self._velocities.append((0.0, 0.0, 0.0))

    def follow(self, until: int) -> None:
        """Follow the command up to and including frame `until`."""
        while len(self._poses) <= until:
            command = self.command(len(self._poses))
            last = self._velocities[-1]
            vx, vy, wz = (
                old + min(max(new - old, -slew), slew) for new, old, slew in zip(command, last, self._slew, strict=True)
            )
            x, y, yaw = self._poses[-1]
            # Mid-point heading: a circle closes.
            heading = yaw + 0.5 * wz * CONTROL_DT
            cos, sin = math.cos(heading), math.sin(heading)
            self._poses.append(
                (x + (cos * vx - sin * vy) * CONTROL_DT, y + (sin * vx + cos * vy) * CONTROL_DT, yaw + wz * CONTROL_DT)
            )
            self._velocities.append((float(vx), float(vy), float(wz)))

    def pose(self, frame: int) -> Array:
        """(3,) x, y, yaw."""
        return np.array(self._poses[frame])

    def velocity(self, frame: int) -> Array:
        """(3,) in the yaw frame."""
        return np.array(self._velocities[frame])

    def poses(self, num_frames: int) -> Array:
        """(num_frames, 3); the path stands still beyond its end."""
        self.hold(num_frames - 1)
        return np.array(self._poses[:num_frames])

    def velocities(self, num_frames: int) -> Array:
        """(num_frames, 3)"""
        self.hold(num_frames - 1)
        return np.array(self._velocities[:num_frames])


def checked_commands(commands: Array, config: GaitConfig) -> Array:
    """Commands (T, 3) scaled into the ellipsoid of the gait's speeds: outside it the ankles run out of range.

    ConfigError unless finite and of that shape.
    """
    commands = np.asarray(commands, dtype=np.float64)
    if commands.ndim != 2 or commands.shape[1] != 3 or not len(commands) or not np.isfinite(commands).all():
        raise ConfigError(f"commands: shape {commands.shape}; finite (T, 3) of vx, vy, wz expected")
    limit = np.tile(config.max_speed, (len(commands), 1))
    limit[commands[:, 0] < 0.0, 0] = config.max_backward
    return commands / np.maximum(1.0, np.linalg.norm(commands / limit, axis=1, keepdims=True))
