"""One regression scenario: what runs on which robot, and what it must show."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from bm_sim2real.clip_files import ClipFile
from bm_sim2real.evaluation import Start
from bm_sim2real.pushes import PushConfig
from bm_sim2real.regress.metrics import Gate
from bm_sim2real.robots.simulation_config import SimulationConfig


class Kind(str, Enum):
    """What a scenario runs; which one it is, is told by the key that names it in YAML."""

    TRACKING = "tracking"
    """`motion:`, a tracker on a clip."""
    BRAKE = "brake"
    """`brake:`, so many stops out of walking, under pushes."""
    DIFFUSION = "diffusion"
    """`task:`, a diffusion policy on a task."""
    FAULT = "fault"
    """`fault:`, a fault of the catalogue of `bm faults`, in lockstep through the bridge's core."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """As read from YAML, with every name found. What a kind has no use for keeps its default."""

    name: str
    kind: Kind
    policy: Path
    """Bundle under test."""
    about: str = ""
    """Why it is there, for the report."""
    clip: ClipFile | None = None
    """Of tracking, and of fault where the robot walks."""
    clips: tuple[ClipFile, ...] = ()
    """Of brake: where there is walking to brake from."""
    trials: int = 0
    """Of brake: stops for each seed."""
    task: str = ""
    """Of diffusion."""
    tracker: Path | None = None
    """Of diffusion: walks in, brakes and stands."""
    latency_ms: float = 20.0
    """Of diffusion: from reading to plan. Fixed, or results would depend on the machine."""
    fault: str = ""
    """Of fault: its name."""
    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    """Without base state, which the policy decides."""
    start: Start = Start.REFERENCE
    pushes: PushConfig | None = None
    sabotage: str = ""
    """What is broken between policy and robot; one of SABOTAGES, empty = nothing."""
    seeds: tuple[int, ...] = (0,)
    """Of pushes, noise, planner and link; one run each."""
    gates: tuple[Gate, ...] = ()
    ended_by: str = ""
    """Guard fault or termination that must end every run; empty = anything."""
    must_fail: bool = False
    """A negative control: passes if a gate is broken (and, with `ended_by`, for that reason)."""
    optional: bool = False
    """Skipped, not refused, where policy or robot model is not installed."""
    missing: str = ""
    """Why it is skipped; empty = it runs."""

    @property
    def cost(self) -> float:
        """About how long one run takes, in simulated s; diffusion counts for its plans."""
        if self.kind is Kind.DIFFUSION:
            return 60.0
        if self.kind is Kind.BRAKE:
            return 6.0 * self.trials
        if self.kind is Kind.FAULT:
            return 10.0
        return 15.0
