"""The robustness matrix: scenarios that pass on the nominal robot, on robots that are a little different."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bm_sim2real.mjlab_wheel import any_model
from bm_sim2real.regress.metrics import Gate
from bm_sim2real.regress.scenario import Kind, Scenario
from bm_sim2real.robots.simulation_config import SimulationConfig

VARIATIONS: dict[str, dict[str, Any]] = {
    "nominal": {},
    "mjlab's model": {"model": "mjlab"},
    "mass -10 %": {"mass_scale": 0.9},
    "mass +10 %": {"mass_scale": 1.1},
    "friction 0.5": {"friction": 0.5},
    "friction 0.3": {"friction": 0.3},
    "delay 10 ms": {"delay_ms": 10},
    "delay 20 ms": {"delay_ms": 20},
    "gains -10 %": {"gain_scale": 0.9},
    "gains +10 %": {"gain_scale": 1.1},
    "motors at 70 %": {"strength_scale": 0.7},
    "torque falls with speed": {"has_speed_limit": True},
    "all at once": {"mass_scale": 1.1, "friction": 0.5, "delay_ms": 10, "gain_scale": 0.9, "strength_scale": 0.8},
}
"""Name -> what differs from the nominal robot (SimulationConfig)."""


def matrix_of(scenarios: Sequence[Scenario]) -> list[tuple[Scenario, str, Scenario]]:
    """(scenario, variation, scenario on that robot) of all that track or brake on the nominal robot and must pass.

    Their gate is completion alone: errors are what the matrix shows.
    """
    return [
        (scenario, variation, _varied(scenario, variation, changes))
        for scenario in scenarios
        if _is_nominal(scenario)
        for variation, changes in VARIATIONS.items()
    ]


def _is_nominal(scenario: Scenario) -> bool:
    is_whole = not scenario.must_fail and not scenario.sabotage and scenario.simulation == SimulationConfig()
    return is_whole and not scenario.missing and scenario.kind in (Kind.TRACKING, Kind.BRAKE)


def _varied(scenario: Scenario, variation: str, changes: dict[str, Any]) -> Scenario:
    is_absent = changes.get("model") == "mjlab" and any_model() is None
    return replace(
        scenario,
        name=f"{scenario.name} | {variation}",
        simulation=replace(scenario.simulation, **changes),
        gates=(Gate(metric="upright" if scenario.kind is Kind.BRAKE else "completed", bound=1.0),),
        missing="mjlab's wheel is not installed; remedy: make install-peers" if is_absent else "",
    )
