"""One run of a scenario: a seed in, numbers out. What runs is the code of the `bm eval` commands and of `bm faults`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from math import ceil
from pathlib import Path

from bm_core.errors import BmError
from bm_core.g1 import CONTROL_DT
from bm_core.motion import MotionClip
from bm_sim2real.clip_files import ClipFile
from bm_sim2real.policies.tracker import TrackerPolicy, base_state_needed
from bm_sim2real.regress.sabotage import SABOTAGES, SabotagedTracker
from bm_sim2real.regress.scenario import Kind, Scenario
from bm_sim2real.robots.protocol import BaseState
from bm_sim2real.robots.simulation_config import SimulationConfig


@dataclass(frozen=True, kw_only=True)
class Run:
    """One seed of one scenario."""

    scenario: Scenario
    seed: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one run gave."""

    scenario: str
    seed: int
    values: Mapping[str, float] = field(default_factory=dict)
    """Of METRICS; what a run did not come to measure is left out."""
    detail: str = ""
    """What went wrong, in words."""
    ended_by: str = ""
    """Guard fault or termination; empty if nothing ended the run."""
    error: str = ""
    """Why nothing could be measured, one line; empty if something was."""
    curve: tuple[float, ...] = ()
    """Of tracking: body error of each control step, mm."""
    seconds: float = 0.0
    """Wall time."""


def measure(run: Run) -> Measured:
    """Never raises a BmError: a policy that is refused is a result, the other scenarios go on."""
    begun = time.perf_counter()
    try:
        measured = _MEASURE[run.scenario.kind](run.scenario, run.seed)
    except BmError as error:
        measured = Measured(scenario=run.scenario.name, seed=run.seed, error=str(error))
    return replace(measured, seconds=time.perf_counter() - begun)


def _tracking(scenario: Scenario, seed: int) -> Measured:
    from bm_sim2real.evaluation import EvaluationConfig, Sample, evaluate_clip

    assert scenario.clip is not None
    errors: list[float] = []

    def listen(sample: Sample) -> None:
        errors.append(1e3 * sample.errors.body)

    config = EvaluationConfig(simulation=_simulation(scenario, seed), start=scenario.start, pushes=scenario.pushes)
    result = evaluate_clip(_tracker(scenario), _loaded(scenario.clip), config, seed=seed, on_sample=listen)
    values = {
        "completed": float(result.completed),
        "falls": float(bool(result.fall)),
        "guard_stops": float(result.failure == "guard"),
        "body_error_mm": 1e3 * result.body_error_m,
        "anchor_error_mm": 1e3 * result.anchor_error_m,
        "joint_error_rad": result.joint_error_rad,
        "clamp_share": result.clamp_share,
    }
    return Measured(
        scenario=scenario.name,
        seed=seed,
        values={name: value for name, value in values.items() if value == value},
        detail=" ".join(filter(None, [result.detail, result.fall])),
        ended_by=result.fault or result.failure,
        curve=tuple(errors),
    )


def _brake(scenario: Scenario, seed: int) -> Measured:
    from bm_sim2real.brake_evaluation import BrakeConfig, brake_trial, choose_trials

    config = BrakeConfig(simulation=_simulation(scenario, seed), pushes=scenario.pushes)
    trials = choose_trials(scenario.clips, scenario.trials, seed, walk_s=config.walk_s)
    tracker = _tracker(scenario)
    results = [brake_trial(tracker, _loaded(trial.clip), trial, config) for trial in trials]
    fallen = [result.detail for result in results if not result.upright]
    return Measured(
        scenario=scenario.name,
        seed=seed,
        values={
            "upright": 1.0 - len(fallen) / len(results),
            "stop_distance_m": sum(result.stop_distance_m for result in results) / len(results),
        },
        detail=fallen[0] if fallen else "",
    )


def _diffusion(scenario: Scenario, seed: int) -> Measured:
    from bm_sim2real.planning.episode import EpisodeConfig, run_episode
    from bm_sim2real.planning.evaluation import load_pilot, task_maker
    from bm_sim2real.planning.policy import PilotConfig

    assert scenario.tracker is not None
    latency = ceil(1e-3 * scenario.latency_ms / CONTROL_DT - 1e-9)
    pilot = load_pilot(scenario.policy, PilotConfig(latency_steps=latency))
    simulation = replace(scenario.simulation, base_state=BaseState.ESTIMATE, imu=_seeded(scenario, seed))
    task = task_maker(scenario.task)(seed, pilot.contract)
    result = run_episode(pilot, _proven(scenario.tracker), task, seed, EpisodeConfig(simulation=simulation))
    values = {"success_rate": float(result.success), "falls": float(result.fell)}
    if "velocity_error" in result.values:
        values["velocity_error"] = float(result.values["velocity_error"])
    return Measured(scenario=scenario.name, seed=seed, values=values, detail=result.detail)


def _fault(scenario: Scenario, seed: int) -> Measured:
    from bm_sim2real.fault_injection.drivers import Walk
    from bm_sim2real.fault_injection.suite import run_scenario
    from bm_sim2real.fault_injection.walking_scenarios import SCENARIOS

    fault = next(one for one in SCENARIOS if one.name == scenario.fault)
    if fault.driver is Walk:
        fault = replace(fault, driver=partial(Walk, scenario.policy))
    with _own_bridge():
        result = run_scenario(fault, "in-process", seed)
    values = {"as_expected": float(result.passed)}
    if result.reaction_ticks is not None and result.allowed_ticks:
        values["reaction_ticks"] = float(result.reaction_ticks)
    found = (result.found or "").removeprefix("hold: ")
    detail = "" if result.passed else f"expected {result.expected or 'no fault'}, found {result.found or 'none'}"
    return Measured(scenario=scenario.name, seed=seed, values=values, detail=detail, ended_by=found)


_MEASURE = {Kind.TRACKING: _tracking, Kind.BRAKE: _brake, Kind.DIFFUSION: _diffusion, Kind.FAULT: _fault}


@contextmanager
def _own_bridge() -> Iterator[None]:
    """A bridge refuses a second one on its interface; a tag of this process keeps parallel runs apart."""
    from bm_sim2real.robots.unitree.dds import TAG_VARIABLE

    before = os.environ.get(TAG_VARIABLE)
    os.environ[TAG_VARIABLE] = f"regress-{os.getpid()}"
    try:
        yield
    finally:
        os.environ.pop(TAG_VARIABLE)
        if before is not None:
            os.environ[TAG_VARIABLE] = before


def _simulation(scenario: Scenario, seed: int) -> SimulationConfig:
    """With the estimator, for a policy that needs a base state, and this run's noise."""
    base_state = base_state_needed(_proven(scenario.policy).contract)
    return replace(scenario.simulation, base_state=base_state, imu=_seeded(scenario, seed))


def _seeded(scenario: Scenario, seed: int):
    return replace(scenario.simulation.imu, seed=seed)


def _tracker(scenario: Scenario) -> TrackerPolicy:
    tracker = _proven(scenario.policy)
    return SabotagedTracker(tracker, SABOTAGES[scenario.sabotage]) if scenario.sabotage else tracker


@lru_cache(maxsize=4)
def _proven(policy: Path) -> TrackerPolicy:
    """Loaded and proven once in each process."""
    return TrackerPolicy.load(policy)


@lru_cache(maxsize=8)
def _loaded(clip: ClipFile) -> MotionClip:
    return clip.load()
