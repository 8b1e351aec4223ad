"""Whole-body walking motion from a velocity command, at 50 Hz: the public face of this package."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bm_core.locomotion.command_path import checked_commands
from bm_core.locomotion.config import GaitConfig
from bm_core.locomotion.feet import foot_motion
from bm_core.locomotion.gait_state import GaitState, look_at
from bm_core.locomotion.walk_plan import plan_from_motion, plan_from_standing
from bm_core.locomotion.whole_body import whole_body

Array = NDArray[np.floating]


@dataclass(frozen=True)
class GeneratedMotion:
    """A motion and what it was planned from; T frames of 20 ms, world frame."""

    root_pos: Array
    """(T, 3) m, pelvis origin."""
    root_quat: Array
    """(T, 4) wxyz"""
    joint_pos: Array
    """(T, 29) rad, canonical order."""
    foot_contact: NDArray[np.bool_]
    """(T, 2), left first."""
    foot_pos: Array
    """(T, 2, 3) m, planned ankle origins."""
    com: Array
    """(T, 3) m, of all bodies."""
    zmp: Array
    """(T, 2) m, planned; all bodies follow it within millimetres."""
    velocity: Array
    """(T, 3) slew-limited command of the path: m/s, m/s, rad/s in the yaw frame."""
    ik_error: float
    """Largest error of an ankle, m + rad."""


def generate(commands: Array, config: GaitConfig | None = None, start: GaitState | None = None) -> GeneratedMotion:
    """The motion that follows `commands` (T, 3) vx, vy m/s, wz rad/s at 50 Hz; frame 0 is the start.

    Without a `start` from standing at the origin; with one from that posture and velocity, feet on the floor. Commands
    are scaled into the ellipsoid of the config's speeds; the last one is taken to go on. ConfigError for a wrong shape.
    """
    config = config or GaitConfig()
    commands = checked_commands(commands, config)
    if start is None:
        state, plan = None, plan_from_standing(commands, config)
    else:
        state = look_at(start)
        plan = plan_from_motion(commands, config, state)
        # Once more, now that the swing's own momentum is known: it is worth 0.1 m of foothold at 1 m/s.
        rough = whole_body(plan, foot_motion(plan.steps, len(plan.zmp), config), replace(config, refinements=0), state)
        plan = plan_from_motion(commands, config, state, rough.moment)
    feet = foot_motion(plan.steps, len(plan.zmp), config)
    motion = whole_body(plan, feet, config, state)
    keep = slice(0, len(commands))
    return GeneratedMotion(
        root_pos=motion.root_pos[keep],
        root_quat=motion.root_quat[keep],
        joint_pos=motion.joint_pos[keep],
        foot_contact=feet.contact[keep],
        foot_pos=feet.pos[keep],
        com=motion.com[keep],
        zmp=plan.zmp[keep],
        velocity=plan.velocity[keep],
        ik_error=motion.ik_error,
    )
