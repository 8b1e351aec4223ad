"""The real-time factor of a simulated robot: simulated s per s of the wall clock.

Robot, bridge and control loop all keep their rates in simulated time, so that a computer that cannot keep up with
500 Hz still shows what would happen on one that can. A real robot has a factor of 1 and nothing else.
"""

from __future__ import annotations

from bm_core.errors import ConfigError
from bm_sim2real.robots.unitree.dds import LOOPBACK

SLOWEST = 0.05
"""Twenty times slower than real time; beyond it, time limits of the wall clock (1 s for a control period) come near."""


def check_real_time_factor(factor: float, interface: str = LOOPBACK) -> None:
    """ConfigError if the factor makes no sense, or where a real robot is at the other end of the interface."""
    if not SLOWEST <= factor <= 1.0:
        raise ConfigError(f"real-time factor = {factor}: must be {SLOWEST:g}..1")
    if factor != 1.0 and interface != LOOPBACK:
        raise ConfigError(f"{interface}: a real-time factor is for the simulated robot (lo); leave it out")
