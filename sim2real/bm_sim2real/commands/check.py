"""`bm check`: may this policy run here?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from bm_sim2real.bundle_check import CheckResult


@dataclass(frozen=True, kw_only=True)
class Check:
    """Judge a policy bundle without moving anything: contract, observation terms, golden trace, inference time.

    Exit 0 safe to run here, 1 not proven here (a differing replay, or no golden trace), 2 unusable: damaged, for
    another robot, or at odds with itself.
    """

    bundle: tyro.conf.Positional[Path]
    """Policy bundle (.onnx)."""
    provider: str = "cpu"
    """Execution provider that shall run it: cpu, cuda or tensorrt."""
    inferences: int = 1000
    """Inferences to time."""
    joints: bool = False
    """Also list gains, action scale and default pose of each joint."""
    limits: bool = False
    """Also list every limit of the guard."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from rich.console import Console

        from bm_sim2real.bundle_check import check_bundle
        from bm_sim2real.result_json import write_result

        result = check_bundle(self.bundle, self.provider, self.inferences)
        rows = term_rows(result)
        if self.json is not None:
            write_result(self.json, command="check", rows=rows, summary=summary(result), passed=result.is_safe)
        console = Console()
        _print_contract(console, result)
        console.print(_term_table(rows))
        if self.joints:
            console.print(_joint_table(result))
        if self.limits:
            console.print(_limit_table())
        _print_verdict(console, result, self.provider)
        return 0 if result.is_safe else 1


def term_rows(result: CheckResult) -> list[dict[str, Any]]:
    """One row for each observation term; `error` is the largest of the replay, None if nothing was replayed."""
    errors = result.trace.term_error if result.trace else {}
    rows, offset = [], 0
    for term in result.bundle.contract.observations:
        rows.append(
            {
                "term": term.name,
                "offset": offset,
                "dim": term.dim,
                "history": term.history,
                "scale": term.scale,
                "steps": list(term.steps),
                "error": errors.get(term.name),
            }
        )
        offset += term.size
    return rows


def summary(result: CheckResult) -> dict[str, Any]:
    """safe, reasons and worst_term_error are what other tools rely on."""
    trace = result.trace
    return {
        "safe": result.is_safe,
        "reasons": list(result.reasons),
        "warnings": list(result.bundle.warnings),
        "worst_term_error": trace.worst_term_error if trace and trace.num_ticks else None,
        "action_error": trace.action_error if trace and trace.num_ticks else None,
        "trace_ticks": trace.num_ticks if trace else None,
        "trace_tolerance": result.bundle.trace_tolerance,
        "inference_ms": result.inference_ms,
        "graph_sha256": result.bundle.model.graph_sha256,
    }


def _print_contract(console: Console, result: CheckResult) -> None:
    bundle, contract = result.bundle, result.bundle.contract
    training = contract.training
    facts = {
        "policy": f"{bundle.path}  ({contract.kind} for {contract.robot}, schema {contract.schema_version})",
        "graph": f"{contract.observation_dim} -> {contract.action_dim}, opset {bundle.model.opset}, "
        f"IR {bundle.model.ir_version}, sha256 {bundle.model.graph_sha256[:12]}",
        "loop": f"{1.0 / contract.control_dt:g} Hz, anchor {contract.anchor_body}, "
        f"{len(contract.body_names)} bodies, reference {contract.reference}, first frame {contract.first_frame}",
        "training": f"run {training.run or '?'}, {training.steps:,} steps, motion set {training.motion_set or '?'} "
        f"({training.motion_set_sha256[:12] or '?'}), commit {training.commit[:12] or '?'}",
    }
    for name, text in facts.items():
        console.print(f"{name:<9} {text}", highlight=False, markup=False, soft_wrap=True)
    for warning in bundle.warnings:
        console.print(f"warning   {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def _print_verdict(console: Console, result: CheckResult, provider: str) -> None:
    def line(text: str, style: str = "") -> None:
        console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    trace, timing = result.trace, result.inference_ms
    if trace and trace.num_ticks:
        line(
            f"trace     {trace.num_ticks} ticks replayed: worst term {trace.worst_term_error:.1e}, action "
            f"{trace.action_error:.1e}, torque {trace.torque_error:.1e} (tolerance {result.bundle.trace_tolerance:g})"
        )
    if timing:
        times = ", ".join(f"{timing[key]:.3f} ms {key}" for key in ("p50", "p99", "max"))
        line(f"inference {times} on {provider}")
    for reason in result.reasons:
        line(f"not safe  {reason}", "red")
    if result.is_safe:
        line(f"safe      to run on this machine with provider {provider}", "green")


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _term_table(rows: list[dict[str, Any]]) -> Table:
    table = _table("Observation terms", "term", "offset", "dim", "history", "scale", "steps", "replay error")
    for row in rows:
        error = "-" if row["error"] is None else f"{row['error']:.1e}"
        steps = " ".join(map(str, row["steps"]))
        table.add_row(row["term"], *(f"{row[key]:g}" for key in ("offset", "dim", "history", "scale")), steps, error)
    return table


def _joint_table(result: CheckResult) -> Table:
    contract = result.bundle.contract
    table = _table("Joints, in the policy's order", "joint", "kp", "kd", "effort", "action scale", "default")
    columns = (contract.stiffness, contract.damping, contract.effort_limit, contract.action.scale)
    for i, name in enumerate(contract.action.joint_names):
        table.add_row(name, *(f"{column[i]:.4f}" for column in columns), f"{contract.action.default_joint_pos[i]:.4f}")
    return table


def _limit_table() -> Table:
    import dataclasses

    from bm_sim2real.guard_limits import GuardLimits

    table = _table("Guard", "limit", "value")
    for name, value in dataclasses.asdict(GuardLimits()).items():
        table.add_row(name, f"{value:g}" if isinstance(value, (int, float)) else str(value))
    return table
