"""`bm faults`: the guard, made to fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from bm_sim2real.fault_injection.suite import FaultResult


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Put every fault into a running robot and see what the guard does; exit 0 if all is as it must be, else 1.

    In lockstep, reactions in writer ticks of 2 ms: through the bridge's own core, over Unitree's DDS topics on loopback
    and over a network inside the process that takes its place; the robot hangs, or walks under the shipped tracker.
    Controlled ends: planner, guidance or operator lost at random moments of a walk must end standing.
    With --processes also what happens to whole processes in real time (a minute; wants an idle machine).
    """

    transport: Literal["both", "in-process", "dds"] = "both"
    """Where to."""
    processes: bool = False
    """Also kill and stop bridge, guardian, client and simulated robot."""
    ends: int = 20
    """Controlled ends on each transport."""
    only: str = ""
    """Only faults whose name contains this."""
    seed: int = 0
    """Of packet loss and of the moments of controlled ends."""
    report: Path | None = None
    """Also write the report as Markdown."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from bm_core.errors import ConfigError
        from bm_sim2real.commands.progress import tracked, wide_console
        from bm_sim2real.fault_injection.controlled_ends import controlled_ends
        from bm_sim2real.fault_injection.report import fault_report
        from bm_sim2real.fault_injection.suite import TRANSPORTS, fault_row, run_scenario, summarize_faults
        from bm_sim2real.fault_injection.walking_scenarios import SCENARIOS
        from bm_sim2real.result_json import write_or_keep, write_result
        from bm_sim2real.robots.unitree.dds import own_tag

        own_tag("faults")
        transports = list(TRANSPORTS) if self.transport == "both" else [self.transport]
        every = (*SCENARIOS, *controlled_ends(self.ends, self.seed))
        todo = [(scenario, transport) for scenario in every for transport in transports if self.only in scenario.name]
        if not todo and not self.processes:
            raise ConfigError(f"--only {self.only!r}: no such fault; known: {', '.join(s.name for s in SCENARIOS)}")
        results = []
        with tracked("faults", len(todo)) as advance:
            for scenario, transport in todo:
                results.append(run_scenario(scenario, transport, self.seed))
                advance(results[-1])
        summary = summarize_faults(results)
        rows = [fault_row(result) for result in results]
        console = wide_console()
        console.print(_table(results))
        struck: list[dict[str, Any]] = []
        bare: list[int] | None = None
        if self.processes:
            struck, bare = self._strike(console)
            summary["faults"] += len(struck)
            summary["rows"] += len(struck)
            summary["transports"] += ["processes"]
            summary["passed"] += sum(row["passed"] for row in struck)
        passed = summary["passed"] == len(rows) + len(struck)
        if self.report is not None:
            write_or_keep(self.report, fault_report(rows, struck, summary, bare))
        rows += struck
        if self.json is not None:
            write_result(self.json, command="faults", rows=rows, summary=summary, passed=passed)
        console.print(
            f"{summary['passed']} of {len(rows)} as they must be; reaction in lockstep: median "
            f"{summary['median_reaction_ticks']:g}, worst {summary['worst_reaction_ticks']} writer ticks "
            f"({summary['worst_reaction_ms']} ms)"
        )
        return 0 if passed else 1

    def _strike(self, console: Console) -> tuple[list[dict[str, Any]], list[int] | None]:
        """Prints and returns the rows of the process faults, and how late a bare loop's ticks were meanwhile."""
        from bm_sim2real.fault_injection.bare_loop import BareLoop

        with BareLoop() as bare:
            rows = self._strike_each(console)
        return rows, bare.late_ticks

    def _strike_each(self, console: Console) -> list[dict[str, Any]]:
        from bm_core.errors import RobotError
        from bm_sim2real.fault_injection.processes import PROCESS_FAULTS, process_row, run_process_fault

        rows = []
        for fault in PROCESS_FAULTS:
            if self.only in fault.name:
                try:
                    row = process_row(run_process_fault(fault))
                except RobotError as error:
                    console.print(f"{fault.name:<24} not tried: {error}", markup=False)
                    continue
                rows.append(row)
                ticks = "" if row["reaction_ticks"] is None else f" after {row['reaction_ticks']} ticks"
                wall = "" if row["reaction_ms"] is None else f", {row['reaction_ms']:.0f} ms wall"
                verdict = "" if row["passed"] else f"  FAILED, expected {row['expected']}"
                console.print(f"{fault.name:<24} {row['found'] or 'survived'}{ticks}{wall}{verdict}")
        return rows


def _table(results: Sequence[FaultResult]) -> Table:
    from rich.table import Table

    table = Table("fault", "transport", "answer", box=None, header_style="bold", pad_edge=False)
    for name in ("ticks", "allowed", "joint speed / limit"):
        table.add_column(name, justify="right")
    table.add_column("")
    for result in results:
        ticks = "" if result.reaction_ticks is None else str(result.reaction_ticks)
        allowed = str(result.allowed_ticks) if result.expected else ""
        verdict = "" if result.passed else f"FAILED, expected {result.expected or 'none'}"
        cells = (result.found or "survived", ticks, allowed, f"{result.joint_speed:.2f}", verdict)
        table.add_row(result.name, result.transport, *cells)
    return table
