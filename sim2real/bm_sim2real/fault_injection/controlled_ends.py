"""Losses that leave the policy alive must end standing, in whatever phase of a step they come: planner, guidance and
operator lost at moments drawn from a seed, the robot watched until it has stood for a while.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from bm_sim2real.fault_injection import walking_injections as broken
from bm_sim2real.fault_injection.drivers import Walk
from bm_sim2real.fault_injection.scenarios import Scenario
from bm_sim2real.holds import Hold
from bm_sim2real.robots.simulation_config import TICK_DT

WATCHED = 3500
"""Ticks (7 s): half a second until the loss is noticed, braking, and standing."""
_EARLIEST, _LATEST = 1000, 3500
"""Ticks of standing and walking before the loss; the walk begins after 250."""


def controlled_ends(count: int, seed: int = 0) -> list[Scenario]:
    """So many ends, causes in turn; deterministic for a seed."""
    moments = np.random.default_rng(seed).integers(_EARLIEST, _LATEST, count)
    return [_end(k, int(moment)) for k, moment in enumerate(moments)]


def _end(number: int, moment: int) -> Scenario:
    name, inject, hold = (
        ("planner lost", broken.source_lost(Hold.PLANNER), "planner"),
        ("guidance lost", broken.source_lost(Hold.GUIDANCE), "guidance"),
        ("operator lost", broken.operator_leaves, "operator"),
    )[number % 3]
    return Scenario(
        name=f"controlled end {number + 1}: {name} at {moment * TICK_DT:.2f} s",
        inject=inject,
        hold=hold,
        driver=partial(Walk, warm_up=moment),
        watched=WATCHED,
        speed_limit=1.5,
        beats=hold == "operator",
    )
