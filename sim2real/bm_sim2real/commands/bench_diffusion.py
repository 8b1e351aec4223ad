"""`bm bench diffusion`: how long do passes and plans take here?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class BenchDiffusion:
    """Time single passes and whole plans of diffusion bundles, by bundle, threads and passes.

    A plan is what the robot waits for: kinematics of the history, all passes, sampling; warm, from histories of the
    bundle's golden trace. Exit 0 passed, 1 a guided plan takes longer than asked for, 2 could not run.
    """

    bundles: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Diffusion bundles; default: the shipped g1_diffusion.onnx."""
    threads: tuple[int, ...] = (1,)
    """Of the planner graph, one table row each."""
    passes: tuple[int, ...] = ()
    """Network passes, one row each; default: the bundle's."""
    action_passes: int | None = None
    """Passes for the actions after those of the states alone; default: the bundle's."""
    provider: str = "cpu"
    """Execution provider: cpu, cuda or tensorrt."""
    plans: int = 200
    """Plans and passes to time."""
    require_p50_ms: float = 20.0
    """Passed needs this of the first row's guided plan,"""
    require_p99_ms: float = 30.0
    """and this."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from bm_core.errors import ConfigError
        from bm_sim2real.commands.progress import tracked, wide_console
        from bm_sim2real.planning.bench import time_plans
        from bm_sim2real.processor import instruction_sets
        from bm_sim2real.result_json import write_result

        if self.plans < 1 or not self.threads:
            raise ConfigError("--plans must be at least 1, and --threads must name a number")
        cases = self._cases()
        rows: list[dict[str, Any]] = []
        with tracked("settings", len(cases)) as advance:
            for path, pilot in cases:
                rows.append(_row(path, pilot, time_plans(path, pilot, self.plans)))
                advance(None)
        plan = rows[0]["guided_plan_ms"]
        passed = plan["p50"] <= self.require_p50_ms and plan["p99"] <= self.require_p99_ms
        sets = instruction_sets()
        if self.json is not None:
            summary = {"guided_plan": {**plan, "unit": "ms"}, "isa": list(sets), "provider": self.provider}
            write_result(self.json, command="bench diffusion", rows=rows, summary=summary, passed=passed)
        console = wide_console()
        console.print(_table(rows))
        console.print(f"{self.provider}; instruction sets that matter: {', '.join(sets) or 'unknown'}")
        console.print("passed" if passed else "FAILED")
        return 0 if passed else 1

    def _cases(self) -> list[tuple[Path, Any]]:
        from bm_core.data import shipped
        from bm_sim2real.planning.policy import PilotConfig

        return [
            (
                path,
                PilotConfig(provider=self.provider, threads=threads, passes=passes, action_passes=self.action_passes),
            )
            for path in self.bundles or (shipped("policies", "g1_diffusion.onnx"),)
            for threads in self.threads
            for passes in self.passes or (None,)
        ]


def _row(path: Path, pilot: Any, timing: Any) -> dict[str, Any]:
    return {
        "bundle": path.name,
        "megabytes": round(path.stat().st_size / 1e6, 1),
        "precision": timing.precision,
        "provider": pilot.provider,
        "threads": pilot.threads,
        "passes": timing.sampler.passes,
        "action_passes": timing.sampler.action_passes,
        "full_pass_ms": timing.full_pass,
        "states_pass_ms": timing.states_pass,
        "plan_ms": timing.plan,
        "guided_plan_ms": timing.guided_plan,
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table("bundle", box=None, header_style="bold", pad_edge=False)
    sizes, times = ("MB", "weights", "threads", "passes"), ("full pass", "states pass", "plan p50 / p99", "guided")
    for heading in (*sizes, *times, "guided, CPU"):
        table.add_column(heading, justify="right")
    for row in rows:
        plan, guided = row["plan_ms"], row["guided_plan_ms"]
        passes = str(row["passes"]) + (f" + {row['action_passes']}" if row["action_passes"] else "")
        table.add_row(
            row["bundle"],
            f"{row['megabytes']:.1f}",
            row["precision"],
            str(row["threads"]),
            passes,
            f"{row['full_pass_ms']['p50']:.2f}",
            f"{row['states_pass_ms']['p50']:.2f}",
            f"{plan['p50']:.1f} / {plan['p99']:.1f}",
            f"{guided['p50']:.1f} / {guided['p99']:.1f}",
            f"{guided['cpu_p50']:.1f} / {guided['cpu_p99']:.1f}",
        )
    return table
