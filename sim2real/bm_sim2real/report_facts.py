"""Facts for the head of a report: where the policy comes from, what it ran on. Lists of (label, value)."""

from __future__ import annotations

from bm_sim2real.bundle_check import CheckResult
from bm_sim2real.evaluation import EvaluationConfig
from bm_sim2real.result_json import machine


def policy_facts(check: CheckResult) -> list[tuple[str, str]]:
    """Of a bundle that was just replayed on this machine."""
    bundle, contract = check.bundle, check.bundle.contract
    training = contract.training
    trace = check.trace
    proof = (
        f"{trace.num_ticks} recorded ticks replayed here, largest difference of an action {trace.action_error:.0e}"
        if trace and trace.num_ticks
        else "none: nothing proves that it sees here what it was trained on"
    )
    inference = f", {check.inference_ms['p50']:.3f} ms an inference" if check.inference_ms else ""
    return [
        ("File", bundle.path.name),
        ("Graph sha256", bundle.model.graph_sha256[:16]),
        ("Network", f"{contract.observation_dim} → {contract.action_dim}, {1.0 / contract.control_dt:g} Hz{inference}"),
        ("Training run", training.run or "not stated"),
        ("Steps", f"{training.steps:,}" if training.steps else "not stated"),
        ("Motion set", f"{training.motion_set or 'not stated'} ({training.motion_set_sha256[:12] or '?'})"),
        ("Commit", training.commit[:12] or "not stated"),
        ("Golden trace", proof),
    ]


def machine_facts(config: EvaluationConfig) -> list[tuple[str, str]]:
    """Computer, versions and simulation."""
    facts = machine()
    simulation = config.simulation
    memory = f", {facts['memory_gib']:g} GiB" if facts["memory_gib"] else ""
    base = simulation.base_state.value.replace("_", " ")
    world = (
        f"MuJoCo in lockstep, 500 Hz, command delay {simulation.delay_ms} ms, friction {simulation.friction:g}, "
        f"mass × {simulation.mass_scale:g}"
    )
    return [
        ("Processor", f"{facts['cpu']}, {facts['cores']} cores{memory}"),
        ("System", facts["system"]),
        ("Software", ", ".join([f"Python {facts['python']}", *(f"{k} {v}" for k, v in facts["packages"].items())])),
        ("Simulation", world),
        ("Base state", f"{base}: what the policy is told of its position and velocity"),
    ]
