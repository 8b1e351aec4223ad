"""What `bm check` says of a diffusion bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from bm_sim2real.diffusion_check import DiffusionCheck


def rows(result: DiffusionCheck) -> list[dict[str, Any]]:
    """One row for each part of a state token, then the action token: name, offset, dim."""
    from dataclasses import asdict

    from bm_core.diffusion.state import state_slices

    spec = result.bundle.contract.spec
    parts = asdict(state_slices(spec.representation))
    found = [{"term": name, "offset": part.start, "dim": part.stop - part.start} for name, part in parts.items()]
    return [*found, {"term": "action", "offset": 0, "dim": spec.layout.action_width}]


def summary(result: DiffusionCheck) -> dict[str, Any]:
    """The keys of a tracker's check, and the planner's own."""
    from dataclasses import asdict

    trace, bundle = result.trace, result.bundle
    return {
        "safe": result.is_safe,
        "reasons": list(result.reasons),
        "warnings": list(bundle.warnings),
        "worst_term_error": trace.state_error if trace else None,
        "action_error": trace.action_error if trace else None,
        "trace_plans": trace.num_plans if trace else None,
        "trace_tolerance": bundle.trace_tolerance,
        "provider": result.provider,
        "notices": list(result.notices),
        "plan_ms": result.plan_ms,
        "decoder_ms": result.decoder_ms,
        "precision": bundle.contract.precision,
        "precision_error": None if bundle.precision is None else asdict(bundle.precision.error),
        "graph_sha256": bundle.model.graph_sha256,
        "decoder_sha256": bundle.contract.decoder.sha256,
    }


def show(console: Console, result: DiffusionCheck) -> None:
    """Facts, replay, times, verdict."""
    from bm_core.diffusion.plan_trace import SINGLE

    def line(text: str, style: str = "") -> None:
        console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)

    bundle, contract = result.bundle, result.bundle.contract
    layout, sampler = contract.spec.layout, contract.spec.sampler
    line(f"policy    {bundle.path}  ({contract.kind} for {contract.robot}, schema {contract.schema_version})")
    line(
        f"planner   {layout.tokens} tokens, {layout.steps_per_token} control steps each, {sampler.passes} passes, "
        f"{contract.precision}, opset {bundle.model.opset}, sha256 {bundle.model.graph_sha256[:12]}"
    )
    terms = ", ".join(term.name for term in contract.decoder.observations) or "nothing"
    line(f"decoder   {len(bundle.decoder)} bytes, observes {terms}, sha256 {contract.decoder.sha256[:12]}")
    for row in rows(result):
        line(f"  {row['term']:<16} offset {row['offset']:>3}, {row['dim']:>3} numbers")
    if bundle.precision is not None:
        error = bundle.precision.error
        line(f"weights   {contract.precision}, plans {error.rms:.2g} (rms) off float32, {error.largest:.2g} at most")
    for notice in (*bundle.warnings, *result.notices):
        line(f"warning   {notice}", "yellow")
    trace, tolerance = result.trace, bundle.trace_tolerance
    if trace:
        line(
            f"trace     {trace.num_plans} plans replayed: states off by {trace.state_error:.1e}, actions by "
            f"{trace.action_error:.1e} at most (tolerance {SINGLE * tolerance:g}; rms {tolerance:g})"
        )
        for name, timing in (("plan", result.plan_ms), ("decoder", result.decoder_ms)):
            times = ", ".join(f"{timing[key]:.3f} ms {key}" for key in ("p50", "p99", "max"))
            line(f"{name:<9} {times} on {result.provider if name == 'plan' else 'cpu'}")
    for reason in result.reasons:
        line(f"not safe  {reason}", "red")
    if result.is_safe:
        line(f"safe      to run on this machine with provider {result.provider}", "green")
