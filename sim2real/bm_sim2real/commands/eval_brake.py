"""`bm eval brake`: does the robot stop out of walking?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from bm_sim2real.brake_evaluation import BrakeConfig, BrakeResult


@dataclass(frozen=True, kw_only=True)
class EvalBrake:
    """Brake out of walking at many moments, under pushes; report who stands 5 s later. Exit 0 passed, 1 failed.

    Each trial walks for a second under the tracker, then BRAKE -> STAND. Upright = no fault, pelvis never below 0.45 m,
    nothing but the feet on the floor, and STAND reached.
    """

    policy: Path | None = None
    """Policy bundle (.onnx); default: the shipped g1_tracker.onnx."""
    motions: str | None = None
    """Files and folders with walking, between commas; default: the shipped clips."""
    motion_set: str | None = None
    """Motion set instead: a shipped one's name or a .yaml file."""
    motion_root: Path | None = None
    """Folder that ${MOTIONS} stands for in a motion set; default: the variable BM_MOTIONS."""
    trials: int = 64
    """States to brake from, spread evenly over the speeds."""
    max_speed: float = 1.0
    """Fastest walking to brake from, m/s."""
    seed: int = 0
    """Of the choice of states and of the pushes."""
    no_pushes: bool = False
    """Leave the robot alone."""
    delay_ms: int = 0
    """From command to motor, ms; a multiple of 2."""
    require: float = 0.95
    """Passed needs at least this share upright."""
    jobs: int | None = None
    """Processes; default: the cores of this machine."""
    provider: str = "cpu"
    """Execution provider of the network: auto, cpu, cuda or tensorrt; falls back to the CPU with a warning."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from bm_core.data import shipped
        from bm_sim2real.brake_evaluation import (
            brake_row,
            choose_trials,
            run_brake_trials,
            summarize_brakes,
        )
        from bm_sim2real.clip_files import chosen_clips
        from bm_sim2real.commands.progress import cores, tracked, wide_console
        from bm_sim2real.result_json import write_result

        policy = self.policy or shipped("policies", "g1_tracker.onnx")
        config = self._config(policy)
        clips = chosen_clips(self.motions, self.motion_set, self.motion_root)
        trials = choose_trials(clips, self.trials, self.seed, fastest=self.max_speed, walk_s=config.walk_s)
        with tracked("trials", len(trials)) as advance:
            results = run_brake_trials(
                policy, trials, config, provider=self.provider, jobs=self.jobs or cores(), on_result=advance
            )
        summary = summarize_brakes(results)
        passed = summary["upright_rate"] >= self.require
        if self.json is not None:
            rows = [brake_row(result) for result in results]
            write_result(self.json, command="eval brake", rows=rows, summary=summary, passed=passed)
        console = wide_console()
        if summary["upright"] < len(results):
            console.print(_failures(results))
        low, high = summary["upright_interval"]
        console.print(
            f"{summary['upright']} of {summary['trials']} upright ({summary['upright_rate']:.1%}, "
            f"95 % interval {low:.1%} to {high:.1%}), {summary['fell_walking']} lost before braking; "
            f"mean way to a stand {summary['stop_distance_m']:.2f} m"
        )
        console.print("passed" if passed else "FAILED")
        return 0 if passed else 1

    def _config(self, policy: Path) -> BrakeConfig:
        from bm_core.bundle import Bundle
        from bm_sim2real.brake_evaluation import BrakeConfig
        from bm_sim2real.policies.tracker import base_state_needed
        from bm_sim2real.pushes import PushConfig
        from bm_sim2real.robots.simulation_config import SimulationConfig

        base_state = base_state_needed(Bundle.read(policy).contract)
        return BrakeConfig(
            simulation=SimulationConfig(delay_ms=self.delay_ms, base_state=base_state),
            pushes=None if self.no_pushes else PushConfig(),
        )


def _failures(results: Sequence[BrakeResult]) -> Table:
    from rich.table import Table

    table = Table("clip", box=None, header_style="bold", pad_edge=False)
    table.add_column("at s", justify="right")
    table.add_column("speed m/s", justify="right")
    table.add_column("what went wrong")
    for result in results:
        if not result.upright:
            table.add_row(result.clip, f"{0.02 * result.frame:.2f}", f"{result.speed:.2f}", result.detail)
    return table
