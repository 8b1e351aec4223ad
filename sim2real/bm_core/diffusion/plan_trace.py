"""Golden trace of a diffusion bundle: whole plans, from a recorded history and fixed noise, to be replayed anywhere.

The first plan starts cold, the others from the one before, with committed actions: what a run does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.history import History
from bm_core.diffusion.plan import Plan
from bm_core.diffusion.planner import Planner
from bm_core.diffusion.portable_noise import portable_noise
from bm_core.diffusion.sampler import Denoise
from bm_core.diffusion.spec import DiffusionSpec
from bm_core.diffusion.state import state_slices
from bm_core.errors import BundleError
from bm_core.g1 import G1
from bm_core.packed_arrays import pack_arrays, unpack_arrays

Floats = NDArray[np.float32]

SINGLE = 5.0
"""So many times the tolerance, which is that of the root of the mean square, may a single number of a plan be off:
where weights are rounded, a last digit that differs grows in some numbers, but not in all of them."""


@dataclass(frozen=True, kw_only=True)
class PlanTrace:
    """R plans, one token apart. H = layout.present + 1."""

    root_pos_w: Floats
    """(R, H, 3) m"""
    root_quat_w: Floats
    """(R, H, 4)"""
    root_lin_vel_w: Floats
    """(R, H, 3) m/s"""
    root_ang_vel_w: Floats
    """(R, H, 3) rad/s"""
    joint_pos: Floats
    """(R, H, 29) rad"""
    joint_vel: Floats
    """(R, H, 29) rad/s"""
    actions: Floats
    """(R, (H - 1) * steps_per_token, W) applied"""
    plan_states: Floats
    """(R, N, D) what the planner made of it, SI units"""
    plan_actions: Floats
    """(R, supervised, A) from the present on"""

    @property
    def num_plans(self) -> int:
        return len(self.root_pos_w)

    def history(self, index: int) -> History:
        """Of plan `index`, float64."""
        names = [field.name for field in dataclasses.fields(History)]
        return History(**{name: getattr(self, name)[index].astype(np.float64) for name in names})


@dataclass(frozen=True, kw_only=True)
class PlanTraceReport:
    """Largest differences of a replay that passed, |got - expected| / max(1, |expected|)."""

    num_plans: int
    state_error: float
    action_error: float


def record_plans(spec: DiffusionSpec, denoise: Denoise, histories: Sequence[History]) -> PlanTrace:
    """Plan on histories that lie one token apart, each rounded to float32 first."""
    names = [field.name for field in dataclasses.fields(History)]
    inputs = {name: np.stack([getattr(history, name) for history in histories]) for name in names}
    rounded = {name: values.astype(np.float32) for name, values in inputs.items()}
    empty = np.zeros((len(histories), 0, 0), dtype=np.float32)
    return replayed(spec, denoise, PlanTrace(**rounded, plan_states=empty, plan_actions=empty))


def replayed(spec: DiffusionSpec, denoise: Denoise, trace: PlanTrace) -> PlanTrace:
    """The trace's histories with the plans of this machine."""
    plans = replay(spec, denoise, trace)
    return dataclasses.replace(
        trace,
        plan_states=np.stack([plan.states for plan in plans]).astype(np.float32),
        plan_actions=np.stack([_supervised(plan) for plan in plans]).astype(np.float32),
    )


def replay(spec: DiffusionSpec, denoise: Denoise, trace: PlanTrace) -> list[Plan]:
    """The plans of this machine for the trace's histories."""
    layout, sampler = spec.layout, spec.reference_sampler()
    planner = Planner(spec, denoise, draw_noise=lambda number: portable_noise(sampler, number, layout.tokens))
    step = layout.steps_per_token
    return [planner.plan(trace.history(i), step=i * step, committed=step if i else 0) for i in range(trace.num_plans)]


def check_plans(
    spec: DiffusionSpec, denoise: Denoise, trace: PlanTrace, tolerance: float, where: str
) -> PlanTraceReport:
    """Replay `trace`; BundleError, prefixed with `where`, names what is off by more than `tolerance` (see SINGLE)."""
    plans, places = replay(spec, denoise, trace), state_slices(spec.representation)
    names = {field: getattr(places, field) for field in vars(places)}

    def state_name(index: int) -> str:
        return next(f"state {name}[{index - where.start}]" for name, where in names.items() if index < where.stop)

    def action_name(index: int) -> str:
        return f"action {index % spec.layout.step_width}"

    errors = []
    for kind, got, expected, name in (
        ("states", [plan.states for plan in plans], trace.plan_states, state_name),
        ("actions", [_supervised(plan) for plan in plans], trace.plan_actions, action_name),
    ):
        error = np.abs(np.array(got) - expected) / np.maximum(1.0, np.abs(expected))
        # NaN fails every comparison, so the good ones are counted, not the bad.
        wrong = np.argwhere(~(error <= SINGLE * tolerance))
        if len(wrong):
            plan, token, index = map(int, wrong[0])
            raise BundleError(
                f"{where}: golden trace, plan {plan}, {kind} token {token}: {name(index)} is "
                f"{np.array(got)[plan, token, index]:.6g}, {expected[plan, token, index]:.6g} expected (tolerance "
                f"{SINGLE * tolerance:g}); network or sampler run differently here"
            )
        rms = float(np.sqrt(np.mean(error**2)))
        if not rms <= tolerance:
            raise BundleError(
                f"{where}: golden trace: {kind} differ by {rms:.3g} (root of the mean square, tolerance "
                f"{tolerance:g}); network or sampler run differently here"
            )
        errors.append(float(error.max(initial=0.0)))
    return PlanTraceReport(num_plans=trace.num_plans, state_error=errors[0], action_error=errors[1])


def encode_plan_trace(trace: PlanTrace) -> dict[str, str]:
    """{"sha256", "npz"} of the arrays."""
    return pack_arrays({field.name: getattr(trace, field.name) for field in dataclasses.fields(trace)})


def decode_plan_trace(document: object, spec: DiffusionSpec, where: str) -> PlanTrace:
    """Read what `encode_plan_trace` wrote. BundleError if it is damaged or its shapes do not fit the spec."""
    where = f"{where}: golden_trace"
    arrays, layout, joints = unpack_arrays(document, where), spec.layout, len(G1.joint_names)
    known, steps = layout.present + 1, layout.present * layout.steps_per_token
    shapes = {"root_pos_w": (known, 3), "root_quat_w": (known, 4), "root_lin_vel_w": (known, 3)}
    shapes |= {"root_ang_vel_w": (known, 3), "joint_pos": (known, joints), "joint_vel": (known, joints)}
    shapes |= {"actions": (steps, layout.step_width), "plan_actions": (layout.supervised, layout.action_width)}
    shapes |= {"plan_states": (layout.tokens, state_slices(spec.representation).width)}
    if set(arrays) != set(shapes):
        odd = sorted(set(arrays) ^ set(shapes))
        raise BundleError(f"{where}: array '{odd[0]}' is {'unknown' if odd[0] in arrays else 'missing'}")
    count = len(arrays["root_pos_w"])
    for name, shape in shapes.items():
        if arrays[name].shape != (count, *shape) or count == 0:
            raise BundleError(f"{where}: {name} has shape {arrays[name].shape}, {('R', *shape)} expected")
        if not np.all(np.isfinite(arrays[name])):
            raise BundleError(f"{where}: {name} holds NaN or infinity")
    return PlanTrace(**arrays)


def _supervised(plan: Plan) -> NDArray[np.floating]:
    first = plan.layout.present
    return plan.actions[first : first + plan.layout.supervised]
