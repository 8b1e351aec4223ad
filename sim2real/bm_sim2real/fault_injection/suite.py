"""Runs scenarios on a rig and judges them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bm_core.g1 import G1
from bm_sim2real.fault_injection.drivers import Walk
from bm_sim2real.fault_injection.rig import Rig
from bm_sim2real.fault_injection.scenarios import Scenario
from bm_sim2real.holds import hold_names
from bm_sim2real.modes import Mode
from bm_sim2real.robots.simulation_config import TICK_MS
from bm_sim2real.robots.unitree.mock_link import MockNetwork
from bm_sim2real.robots.unitree.remote import DEADMAN, Remote

TRANSPORTS: dict[str, Callable[[], MockNetwork | None]] = {"in-process": MockNetwork, "dds": lambda: None}


@dataclass(frozen=True, kw_only=True)
class FaultResult:
    """One scenario on one transport."""

    name: str
    transport: str
    expected: str | None
    """Fault that must latch, or `hold: cause`."""
    found: str | None
    reaction_ticks: int | None
    """Writer ticks from the injection to the first damping frame, or to the first command of BRAKE; None without."""
    allowed_ticks: int
    joint_speed: float
    """Fastest joint after the injection, as a fraction of its motor's limit."""
    speed_limit: float
    is_finite: bool
    """Whether everything that was sent was."""
    is_damping: bool
    """At the end."""
    ends_well: bool
    """At the end: damping after a fault, standing after a hold, going on otherwise."""

    @property
    def passed(self) -> bool:
        """Right answer, in time, the right end, nothing wild on the way."""
        in_time = not self.allowed_ticks or (
            self.reaction_ticks is not None and self.reaction_ticks <= self.allowed_ticks
        )
        is_calm = self.is_finite and self.joint_speed <= self.speed_limit
        return is_calm and self.found == self.expected and in_time and self.ends_well


def run_scenario(scenario: Scenario, transport: str, seed: int = 0) -> FaultResult:
    """From a healthy start; deterministic for a seed."""
    driver = scenario.driver()
    rig = Rig(driver, TRANSPORTS[transport](), seed)
    try:
        rig.beats = scenario.beats
        if scenario.holds_deadman:
            rig.robot.wire.remote = Remote(buttons=DEADMAN)
        for _ in range(driver.warm_up):
            rig.tick()
        before_tick = scenario.inject(rig)
        reaction: int | None = None
        speed, is_finite = 0.0, True
        for tick in range(1, scenario.watched + 1):
            if before_tick is not None:
                before_tick()
            rig.tick()
            speed = max(speed, rig.body.joint_speed)
            is_finite = is_finite and _is_finite(rig)
            if reaction is None and (_is_damping(rig) or _mode(rig) is Mode.BRAKE):
                reaction = tick
        return FaultResult(
            name=scenario.name,
            transport=transport,
            expected=f"hold: {scenario.hold}" if scenario.hold else scenario.fault,
            found=_found(rig),
            reaction_ticks=reaction,
            allowed_ticks=scenario.ticks,
            joint_speed=speed,
            speed_limit=scenario.speed_limit,
            is_finite=is_finite,
            is_damping=_is_damping(rig),
            ends_well=_ends_well(rig, scenario),
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
    """Reactions of the faults that had to be answered, in simulated time."""
    reactions = [r.reaction_ticks for r in results if r.allowed_ticks and r.reaction_ticks is not None]
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


def _found(rig: Rig) -> str | None:
    """Name of the latched fault, of bridge or task guard, else the holds."""
    driver = rig.driver
    fault = rig.fault
    if isinstance(driver, Walk):
        fault = driver.machine.fault or fault
    if fault is not None:
        return fault.name
    holds = hold_names(driver.machine.held) if isinstance(driver, Walk) else rig.holds
    return f"hold: {', '.join(holds)}" if holds else None


def _ends_well(rig: Rig, scenario: Scenario) -> bool:
    if scenario.fault is not None:
        return _is_damping(rig)
    if scenario.hold:
        return not _is_damping(rig) and _mode(rig) is Mode.STAND and rig.body.pelvis_height() > 0.6
    return not _is_damping(rig)


def _mode(rig: Rig) -> Mode:
    return rig.driver.machine.mode if isinstance(rig.driver, Walk) else rig.core.mode


def _is_damping(rig: Rig) -> bool:
    return not rig.written.kp.any() and bool((rig.written.kd > 0.0).all())


def _is_finite(rig: Rig) -> bool:
    low = rig.written
    return bool(np.isfinite(np.concatenate([low.q, low.dq, low.tau, low.kp, low.kd])).all()) and len(low.q) == len(
        G1.joints
    )
