"""What `bm check` shows: facts, tables, verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.table import Table

    from bm_sim2real.bundle_check import CheckResult
    from bm_sim2real.motion_check import MotionVerdict


def print_facts(console: Console, result: CheckResult) -> None:
    """Contract, joints and warnings, a line each."""
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
    if bundle.precision is not None:
        small = bundle.precision
        facts["weights"] = f"{small.weights}, up to {small.error:.2g} off float32 on {small.observations} observations"
    facts["joints"] = _joint_words(result)
    for name, text in facts.items():
        console.print(f"{name:<9} {text}", highlight=False, markup=False, soft_wrap=True)
    for warning in (*bundle.warnings, *result.notices):
        console.print(f"warning   {warning}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def print_verdict(console: Console, result: CheckResult) -> None:
    """Replay, times, motion, and the reasons if it is not safe."""

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
        line(f"inference {times} on {result.provider}")
    if result.motion is not None and not result.motion.reasons:
        _print_motion(line, result.motion)
    for reason in result.reasons:
        line(f"not safe  {reason}", "red")
    if result.is_safe:
        line(f"safe      to run on this machine with provider {result.provider}", "green")


def _joint_words(result: CheckResult) -> str:
    from bm_sim2real.bundle_check import motor_order, torque_shares

    motors, shares = motor_order(result.bundle.contract), torque_shares(result.bundle.contract)
    order = "the motors' order" if motors == sorted(motors) else "mapped by name, not in the motors' order"
    asked = f"{shares.min():.2f} to {shares.max():.2f}"
    return f"{len(motors)}, {order}; one unit of action asks for {asked} of the effort limit"


def _print_motion(line: Callable[..., None], motion: MotionVerdict) -> None:
    start = f"{motion.start_distance:.2f} rad from the default pose ({motion.start_joint})"
    fastest = f"{motion.joint_speed:.2f} of no-load speed ({motion.fastest_joint})"
    line(f"motion    {motion.name}, {motion.seconds:.1f} s; starts {start}; fastest {fastest}")
    for warning in motion.warnings:
        line(f"warning   {warning}", "yellow")


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def term_table(rows: list[dict[str, Any]]) -> Table:
    """Name, place and size of each observation term."""
    table = _table("Observation terms", "term", "offset", "dim", "history", "scale", "steps", "replay error")
    for row in rows:
        error = "-" if row["error"] is None else f"{row['error']:.1e}"
        steps = " ".join(map(str, row["steps"]))
        table.add_row(row["term"], *(f"{row[key]:g}" for key in ("offset", "dim", "history", "scale")), steps, error)
    return table


def joint_table(result: CheckResult) -> Table:
    """Motor, gains and torque share of each joint; share = kp scale / effort limit."""
    from bm_sim2real.bundle_check import motor_order, torque_shares

    contract = result.bundle.contract
    columns = ("joint", "motor", "kp", "kd", "effort", "action scale", "default", "torque share")
    table = _table("Joints, in the policy's order", *columns)
    gains = (contract.stiffness, contract.damping, contract.effort_limit, contract.action.scale)
    motors, shares = motor_order(contract), torque_shares(contract)
    for i, name in enumerate(contract.action.joint_names):
        numbers = [*(column[i] for column in gains), contract.action.default_joint_pos[i], shares[i]]
        table.add_row(name, str(motors[i]), *(f"{number:.4f}" for number in numbers))
    return table


def limit_table() -> Table:
    """Every number of the guard."""
    import dataclasses

    from bm_sim2real.guard_limits import GuardLimits

    table = _table("Guard", "limit", "value")
    for name, value in dataclasses.asdict(GuardLimits()).items():
        table.add_row(name, f"{value:g}" if isinstance(value, (int, float)) else str(value))
    return table
