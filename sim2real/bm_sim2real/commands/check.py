"""`bm check`: may this policy run here?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from bm_sim2real.commands.check_print import joint_table, limit_table, print_facts, print_verdict, term_table

if TYPE_CHECKING:
    from rich.console import Console

    from bm_sim2real.bundle_check import CheckResult


@dataclass(frozen=True, kw_only=True)
class Check:
    """Judge a policy bundle without moving anything: contract, terms, joints, golden trace, inference time, motion.

    Trackers, and diffusion bundles: planner and decoder.

    Exit 0 safe to run here, 1 not safe, with the reasons (a differing replay, no golden trace, another robot, a motion
    that does not fit), 2 unreadable: no such file, damaged, no policy at all.
    """

    bundle: tyro.conf.Positional[Path]
    """Policy bundle (.onnx)."""
    motion: Path | None = None
    """Motion that it shall follow; default: the one inside the policy, if there is one."""
    provider: str = "cpu"
    """Execution provider that shall run it: auto, cpu, cuda or tensorrt; falls back to the CPU with a notice."""
    inferences: int = 1000
    """Inferences to time."""
    joints: bool = False
    """Also list motor, gains, action scale, default pose and torque share of each joint."""
    limits: bool = False
    """Also list every limit of the guard."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from bm_sim2real.bundle_check import Refusal, judge_bundle
        from bm_sim2real.commands import check_diffusion
        from bm_sim2real.commands.progress import wide_console
        from bm_sim2real.diffusion_check import DiffusionCheck
        from bm_sim2real.result_json import write_result

        result = judge_bundle(self.bundle, self.provider, self.inferences, self.motion)
        console = wide_console()
        if isinstance(result, Refusal):
            if self.json is not None:
                document = {"safe": False, "reasons": [result.reason], "worst_term_error": None}
                write_result(self.json, command="check", rows=[], summary=document, passed=False)
            console.print(f"not safe  {result.reason}", style="red", highlight=False, markup=False, soft_wrap=True)
            return 1
        if isinstance(result, DiffusionCheck):
            if self.json is not None:
                rows, found = check_diffusion.rows(result), check_diffusion.summary(result)
                write_result(self.json, command="check", rows=rows, summary=found, passed=result.is_safe)
            check_diffusion.show(console, result)
            return 0 if result.is_safe else 1
        rows = term_rows(result)
        if self.json is not None:
            write_result(self.json, command="check", rows=rows, summary=summary(result), passed=result.is_safe)
        self._print(console, result, rows)
        return 0 if result.is_safe else 1

    def _print(self, console: Console, result: CheckResult, rows: list[dict[str, Any]]) -> None:
        print_facts(console, result)
        console.print(term_table(rows))
        if self.joints:
            console.print(joint_table(result))
        if self.limits:
            console.print(limit_table())
        print_verdict(console, result)


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
    from dataclasses import asdict

    from bm_sim2real.bundle_check import motor_order, torque_shares

    trace, contract = result.trace, result.bundle.contract
    return {
        "safe": result.is_safe,
        "reasons": list(result.reasons),
        "warnings": list(result.bundle.warnings),
        "worst_term_error": trace.worst_term_error if trace and trace.num_ticks else None,
        "action_error": trace.action_error if trace and trace.num_ticks else None,
        "trace_ticks": trace.num_ticks if trace else None,
        "trace_tolerance": result.bundle.trace_tolerance,
        "precision": None if result.bundle.precision is None else asdict(result.bundle.precision),
        "provider": result.provider,
        "notices": list(result.notices),
        "inference_ms": result.inference_ms,
        "motors": motor_order(contract),
        "torque_share": dict(zip(contract.action.joint_names, torque_shares(contract).tolist(), strict=True)),
        "motion": None if result.motion is None else asdict(result.motion),
        "graph_sha256": result.bundle.model.graph_sha256,
    }
