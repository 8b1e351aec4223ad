"""What smaller weights cost a planner: measured at export on whole plans, and the float32 plans to prove it elsewhere.

An int8 planner's own trace may have been recorded on the network that went wrong, and int8 differs between CPUs; the
float32 plans beside it say what the policy was trained to do.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bm_core import strict_json
from bm_core.diffusion.plan_trace import PlanTrace, decode_plan_trace, encode_plan_trace, replayed
from bm_core.diffusion.sampler import Denoise
from bm_core.diffusion.spec import DiffusionSpec
from bm_core.errors import BundleError

MARGIN, SINGLE_MARGIN = 1.5, 3.0
"""What a replay elsewhere may be off over what was measured at export, on the whole and in a single number: other CPUs
round otherwise, which grows in some numbers of a plan, but not in all of them."""
_FLOAT_TRACE = "float_trace"


@dataclass(frozen=True, kw_only=True)
class PlanDifference:
    """Two recordings of the same plans, |got - expected| / max(1, |expected|), states and supervised actions."""

    rms: float
    """Root of the mean square, of states or actions, whichever is larger."""
    largest: float
    """Of any single number."""


@dataclass(frozen=True, kw_only=True)
class PlanPrecision:
    """Metadata `bm.precision` of planners with smaller weights."""

    error: PlanDifference
    """Against float32, on the plans of the golden trace."""
    trace: PlanTrace | None = field(default=None, repr=False)
    """What the planner does in float32; int8 bundles have it."""

    def as_json(self) -> str:
        """Equal values give equal text."""
        beside = {} if self.trace is None else {_FLOAT_TRACE: encode_plan_trace(self.trace)}
        return json.dumps({**asdict(self.error), **beside}, allow_nan=False)

    def check(self, spec: DiffusionSpec, denoise: Denoise, where: str) -> None:
        """Plan as in float32, as nearly as at export. BundleError, prefixed with `where`, if not."""
        if self.trace is None:
            return
        found = plan_difference(self.trace, replayed(spec, denoise, self.trace))
        rows = (
            ("rms", found.rms, self.error.rms, MARGIN),
            ("largest", found.largest, self.error.largest, SINGLE_MARGIN),
        )
        for name, got, limit, margin in rows:
            # NaN fails every comparison.
            if not got <= margin * limit:
                raise BundleError(
                    f"{where}: float32 trace: plans differ by {got:.3g} ({name}), {limit:.3g} at export; "
                    "network or sampler run differently here"
                )


def plan_precision_from(text: str, spec: DiffusionSpec, where: str) -> PlanPrecision:
    """What `as_json` wrote. BundleError if it is damaged or does not fit."""
    document: dict[str, Any] = strict_json.parse_object(text, where)
    trace = document.pop(_FLOAT_TRACE, None)
    error = strict_json.build(PlanDifference, document, where)
    return PlanPrecision(error=error, trace=None if trace is None else decode_plan_trace(trace, spec, where))


def plan_difference(expected: PlanTrace, got: PlanTrace) -> PlanDifference:
    """Of two recordings on the same histories."""
    pairs = ((expected.plan_states, got.plan_states), (expected.plan_actions, got.plan_actions))
    scaled = [np.abs(theirs.astype(np.float64) - ours) / np.maximum(1.0, np.abs(ours)) for ours, theirs in pairs]
    return PlanDifference(
        rms=max(float(np.sqrt(np.mean(error**2))) for error in scaled),
        largest=max(float(error.max()) for error in scaled),
    )
