"""Runs scenarios on a rig and judges them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bm_core.g1 import G1
from bm_sim2real.fault_injection.rig import DdsRig, InProcessRig, Rig
from bm_sim2real.fault_injection.scenarios import Scenario
from bm_sim2real.robots.simulation_config import TICK_MS

TRANSPORTS: dict[str, Callable[[int], Rig]] = {"in-process": InProcessRig, "dds": DdsRig}
WARM_UP = 100
"""Ticks of healthy running before: past the slew limit of the entry."""
WATCHED = 200
"""Ticks after the injection."""


@dataclass(frozen=True, kw_only=True)
class FaultResult:
    """One scenario on one transport."""

    name: str
    transport: str
    expected: str | None
    found: str | None
    """Name of the latched fault."""
    reaction_ticks: int | None
    """Writer ticks from the injection to the first damping frame; None if there was none."""
    allowed_ticks: int
    joint_speed: float
    """Fastest joint after the injection, as a fraction of its motor's limit."""
    speed_limit: float
    is_finite: bool
    """Whether everything that was sent was."""
    is_damping: bool
    """At the end."""

    @property
    def passed(self) -> bool:
        """Right fault, in time, motors damped (or, if it had to be survived, not), nothing wild on the way."""
        is_calm = self.is_finite and self.joint_speed <= self.speed_limit and self.found == self.expected
        if self.expected is None:
            return is_calm and not self.is_damping
        in_time = self.reaction_ticks is not None and self.reaction_ticks <= self.allowed_ticks
        return is_calm and in_time and self.is_damping


def run_scenario(scenario: Scenario, transport: str, seed: int = 0) -> FaultResult:
    """From a healthy start; deterministic for a seed."""
    rig = TRANSPORTS[transport](seed)
    try:
        for _ in range(WARM_UP):
            rig.tick()
        before_tick = scenario.inject(rig)
        reaction: int | None = None
        speed, is_finite = 0.0, True
        for tick in range(1, WATCHED + 1):
            if before_tick is not None:
                before_tick()
            rig.tick()
            speed = max(speed, rig.joint_speed)
            is_finite = is_finite and _is_finite(rig)
            if reaction is None and _is_damping(rig):
                reaction = tick
        return FaultResult(
            name=scenario.name,
            transport=transport,
            expected=scenario.fault,
            found=None if rig.fault is None else rig.fault.name,
            reaction_ticks=reaction,
            allowed_ticks=scenario.ticks,
            joint_speed=speed,
            speed_limit=scenario.speed_limit,
            is_finite=is_finite,
            is_damping=_is_damping(rig),
        )
    finally:
        rig.close()


def fault_row(result: FaultResult) -> dict[str, Any]:
    """For the JSON document."""
    ticks = result.reaction_ticks
    return {
        "fault": result.name,
        "transport": result.transport,
        "expected": result.expected,
        "found": result.found,
        "reaction_ticks": ticks,
        "reaction_ms": None if ticks is None else ticks * TICK_MS,
        "allowed_ticks": result.allowed_ticks,
        "max_joint_speed": result.joint_speed,
        "passed": result.passed,
    }


def summarize_faults(results: Sequence[FaultResult]) -> dict[str, Any]:
    """Keys as in DESIGN section 6; reactions of the faults that had to be answered, in simulated time."""
    reactions = [r.reaction_ticks for r in results if r.expected is not None and r.reaction_ticks is not None]
    worst = max(reactions, default=0)
    return {
        "faults": len({result.name for result in results}),
        "transports": sorted({result.transport for result in results}),
        "rows": len(results),
        "passed": sum(result.passed for result in results),
        "median_reaction_ticks": float(np.median(reactions)) if reactions else 0.0,
        "worst_reaction_ticks": worst,
        "worst_reaction_ms": worst * TICK_MS,
    }


def _is_damping(rig: Rig) -> bool:
    return not rig.written.kp.any() and bool((rig.written.kd > 0.0).all())


def _is_finite(rig: Rig) -> bool:
    low = rig.written
    return bool(np.isfinite(np.concatenate([low.q, low.dq, low.tau, low.kp, low.kd])).all()) and len(low.q) == len(
        G1.joints
    )
