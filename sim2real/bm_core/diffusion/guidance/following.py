"""What follows from a pull: a root that is pulled to another velocity gets to other places and faces elsewhere.

A model keeps places, headings and velocities as separate numbers. Pulled alone, velocities become numbers that no place
and no leg agrees with; moved along with them, places and headings say the same, and the network fits the legs to both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bm_core.diffusion.guidance.arrays import library
from bm_core.diffusion.guidance.plan_view import PlanView
from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.state import StateRepresentation


@dataclass(frozen=True, kw_only=True)
class Following:
    """For `sampler.Guidance.spread`: steps on velocities become steps on the places and headings they lead to."""

    layout: TokenLayout
    representation: StateRepresentation = StateRepresentation.BODY_POS
    share: float = 1.0
    """1: as the integral says, and pulls on places count by way of velocities only; 0: every number for itself."""

    def __call__(self, states: Any, step: Any) -> Any:
        """Steps (B, N, D) in SI units -> the whole of them, a new array; `states` (B, N, D) is what they start from."""
        answer = step + 0.0 * states
        if self.share == 0.0:
            return answer
        plan, moved = self._view(states), self._view(answer)
        places = self.share * self._integral(moved.root_lin_vel[..., :2])
        moved.root_pos[..., :2] = places + (1.0 - self.share) * moved.root_pos[..., :2]
        self._turn(plan, moved, self.share * self._integral(moved.root_ang_vel[..., 2]))
        return answer

    def _integral(self, velocity: Any) -> Any:
        """Over the tokens by the trapezoidal rule, from 0 at the present; (B, H, ...) like the velocity."""
        half = 0.5 * (velocity[:, 1:] + velocity[:, :-1])
        covered = self.layout.token_dt * library(velocity).cumsum(half, 1)
        return library(velocity).concatenate([0.0 * velocity[:, :1], covered], 1)

    def _turn(self, plan: PlanView, moved: PlanView, angle: Any) -> None:
        """Turns the planned rotations by `angle` (B, H) rad about z: rows x and y of both columns."""
        xp = library(angle)
        cos, sin = (xp.cos(angle) - 1.0)[..., None], xp.sin(angle)[..., None]
        x, y = plan.root_rot6d[..., 0:2], plan.root_rot6d[..., 2:4]
        moved.root_rot6d[..., 0:2] += cos * x - sin * y
        moved.root_rot6d[..., 2:4] += sin * x + cos * y

    def _view(self, states: Any) -> PlanView:
        return PlanView(states[:, self.layout.present :], self.representation, self.layout.token_dt)
