"""`bm eval diffusion`: does the diffusion policy do what a task asks?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from bm_core.diffusion.guidance.settings import GuidanceSpec
    from bm_sim2real.planning.episode import EpisodeConfig, EpisodeResult
    from bm_sim2real.planning.evaluation import DiffusionEvaluation
    from bm_sim2real.planning.policy import PilotConfig


@dataclass(frozen=True, kw_only=True)
class EvalDiffusion:
    """Play a task in MuJoCo through the deployed runtime; report success and falls. Exit 0 passed, 1 failed.

    The policy sees the estimator's state and its plans come late, as on the robot. Fall = pelvis below 0.45 m or a
    ground contact but the feet; a guard that damps counts as one.
    """

    task: str = "walk-perturb"
    """Protocol of docs/guidance.md; an unknown name lists those there are."""
    policy: Path | None = None
    """Diffusion bundle (.onnx); default: the shipped g1_diffusion.onnx."""
    tracker: Path | None = None
    """Tracker that walks in, brakes and stands; default: the shipped g1_tracker.onnx."""
    runs: int = 50
    """Runs, with seeds from --seed on."""
    seed: int = 0
    latency_ms: float | None = None
    """From reading to plan, rounded up to control steps of 20 ms; default: p95 of a bench on this machine."""
    ground_truth: bool = False
    """Give the policy the simulator's base state instead of the estimator's."""
    cold: bool = False
    """Start every plan from noise, not from the plan before."""
    passes: int | None = None
    """Network passes; default: the bundle's. The same for the following settings of its sampler."""
    action_passes: int | None = None
    eta: float | None = None
    warm_state_level: int | None = None
    warm_action_level: int | None = None
    most_committed: int | None = None
    history_action_level: int | None = None
    guidance: Path | None = None
    """JSON file with guidance settings that differ from the bundle's."""
    sweep: bool = False
    """Run 20, 10, 6 and 4 passes, warm and cold, one after the other; --require holds for the bundle's own setting."""
    require: float = 0.98
    """Passed needs at least this share of successes."""
    jobs: int | None = None
    """Processes; default: the cores of this machine."""
    provider: str = "cpu"
    """Execution provider of the networks: cpu, cuda or tensorrt."""
    threads: int = 1
    """Of the planner graph."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""
    report: Path | None = None
    """Also write report.html with maps, velocities and films of some runs into this folder."""
    films: int = 4
    """Runs that the report shows in full; failures come first."""

    def __call__(self) -> int:
        from bm_core.errors import ConfigError
        from bm_sim2real.commands.progress import cores, tracked, wide_console
        from bm_sim2real.planning.evaluation import row, run_evaluation, summarize
        from bm_sim2real.result_json import write_result

        if self.runs < 1:
            raise ConfigError(f"--runs {self.runs}: must be at least 1")
        console = wide_console()
        rows: list[dict[str, Any]] = []
        summaries: list[dict[str, Any]] = []
        steps = self._latency_steps()
        settings = self._settings(steps)
        own: list[EpisodeResult] = []
        for name, config in settings.items():
            seeds = range(self.seed, self.seed + self.runs)
            with tracked(f"{self.task} {name}".strip(), self.runs) as advance:
                results = run_evaluation(config, seeds, jobs=self.jobs or cores(), on_result=advance)
            own = own or results
            summaries.append({**summarize(self.task, results), "setting": name, "latency_ms": 20 * steps})
            rows += [{"setting": name, **row(result)} for result in results]
            console.print(_failures(results))
            console.print(_verdict(summaries[-1]))
        summary = {**summaries[0], "conditions": self._conditions(), "settings": summaries}
        passed = summary["success_rate"] >= self.require
        if self.json is not None:
            write_result(self.json, command="eval diffusion", rows=rows, summary=summary, passed=passed)
        if self.report is not None:
            from bm_sim2real.diffusion_tasks.write_report import write_task_report

            page = write_task_report(self.report, settings[""], own, summaries[0], passed=passed, shown=self.films)
            console.print(f"report: {page}", markup=False, soft_wrap=True)
        console.print("passed" if passed else "FAILED")
        return 0 if passed else 1

    # -- parts

    def _settings(self, latency_steps: int) -> dict[str, DiffusionEvaluation]:
        """Name -> evaluation; the bundle's own setting first."""
        from dataclasses import replace

        from bm_core.data import shipped
        from bm_sim2real.planning.evaluation import DiffusionEvaluation

        own = DiffusionEvaluation(
            task=self.task,
            policy=self._policy(),
            tracker=self.tracker or shipped("policies", "g1_tracker.onnx"),
            pilot=self._pilot(latency_steps),
            episode=self._episode(),
        )
        settings = {"": own}
        if self.sweep:
            for passes in (20, 10, 6, 4):
                for is_warm in (True, False):
                    pilot = replace(own.pilot, passes=passes, is_warm=is_warm)
                    settings[f"{passes} passes {'warm' if is_warm else 'cold'}"] = replace(own, pilot=pilot)
        return settings

    def _policy(self) -> Path:
        from bm_core.data import shipped

        return self.policy or shipped("policies", "g1_diffusion.onnx")

    def _pilot(self, latency_steps: int) -> PilotConfig:
        from bm_sim2real.planning.policy import PilotConfig

        return PilotConfig(
            latency_steps=latency_steps,
            provider=self.provider,
            threads=self.threads,
            is_warm=not self.cold,
            passes=self.passes,
            action_passes=self.action_passes,
            eta=self.eta,
            warm_state_level=self.warm_state_level,
            warm_action_level=self.warm_action_level,
            most_committed=self.most_committed,
            history_action_level=self.history_action_level,
            guidance=self._guidance(),
        )

    def _guidance(self) -> GuidanceSpec | None:
        from bm_core.diffusion.bundle import DiffusionBundle
        from bm_core.diffusion.guidance.settings import read_guidance

        if self.guidance is None:
            return None
        return read_guidance(self.guidance, DiffusionBundle.read(self._policy()).contract.guidance)

    def _latency_steps(self) -> int:
        from math import ceil

        from bm_core.g1 import CONTROL_DT
        from bm_sim2real.planning.bench import plan_latency_s

        if self.latency_ms is not None:
            return ceil(1e-3 * self.latency_ms / CONTROL_DT - 1e-9)
        return ceil(plan_latency_s(self._policy(), self._pilot(0)) / CONTROL_DT)

    def _episode(self) -> EpisodeConfig:
        from bm_sim2real.planning.episode import EpisodeConfig
        from bm_sim2real.robots.protocol import BaseState
        from bm_sim2real.robots.simulation_config import SimulationConfig

        base_state = BaseState.GROUND_TRUTH if self.ground_truth else BaseState.ESTIMATE
        return EpisodeConfig(simulation=SimulationConfig(base_state=base_state))

    def _conditions(self) -> dict[str, Any]:
        """Under which the numbers were measured; they belong to the result."""
        from dataclasses import asdict

        return {name: value for name, value in asdict(self).items() if name not in ("json", "jobs")}


def _failures(results: Sequence[EpisodeResult]) -> Table:
    from rich.table import Table

    table = Table("seed", box=None, header_style="bold", pad_edge=False)
    table.add_column("path m", justify="right")
    table.add_column("what went wrong")
    for result in results:
        if not result.success:
            table.add_row(str(result.seed), f"{result.path_m:.1f}", result.detail)
    return table


def _verdict(summary: dict[str, Any]) -> str:
    low, high = summary["success_interval"]
    plan = summary["plan_ms"]
    timing = f"plan {plan['p50']:.1f} ms p50, {plan['p99']:.1f} p99" if plan else "no plan"
    name = f"{summary['task']}{', ' + summary['setting'] if summary['setting'] else ''}"
    return (
        f"{name}: {summary['successes']} of {summary['runs']} ({summary['success_rate']:.1%}, 95 % interval {low:.1%} "
        f"to {high:.1%}), {summary['falls']} fell; path {summary['path_m']:.1f} m, {summary['net_m']:.1f} m from the "
        f"start; {timing}, {summary['latency_ms']} ms late"
    )
