"""A goal as the planner asks for it: for every plan, the costs of the goal seen from that plan's present."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.guidance.approach import Approach
from bm_core.diffusion.guidance.cost import Weighted, WeightedCosts
from bm_core.diffusion.guidance.following import Following
from bm_core.diffusion.guidance.frame import to_present, wrapped
from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.joystick import SpeedLimit, Velocity, YawRate
from bm_core.diffusion.guidance.obstacle import Obstacle, Obstacles
from bm_core.diffusion.guidance.posture import Height, Smoothness
from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.diffusion.guidance.way_ahead import WayAhead
from bm_core.diffusion.guidance.waypoint import Waypoint
from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.sampler import Guidance
from bm_core.diffusion.state import StateRepresentation
from bm_core.diffusion.trajectory import PresentFrame

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class GoalSteering:
    """Steers towards one goal. A value: may be pickled, compared, replaced at any time."""

    goal: GuidanceGoal
    settings: GuidanceSpec = field(default_factory=GuidanceSpec)
    layout: TokenLayout = field(default_factory=TokenLayout)
    representation: StateRepresentation = StateRepresentation.BODY_POS
    extra: Sequence[Weighted] = ()
    """Further costs, relative to the present: your own."""

    def guidance(self, present: PresentFrame, time: float) -> Guidance | None:
        """The pull on a plan from `present`; `time` in s is not used, goals hold until they are replaced."""
        costs = [*self._costs(present), *self.extra]
        if not costs:
            return None
        return guidance_of(costs, self.settings, self.layout, self.representation)

    def keyframes(self, present: PresentFrame, time: float) -> dict[int, Array]:
        """The goal's keyframes that lie ahead, as state tokens."""
        if self.goal.keyframes is None:
            return {}
        return self.goal.keyframes.tokens(time, present, self.layout, self.representation)

    def _costs(self, present: PresentFrame) -> list[Weighted]:
        goal, settings = self.goal, self.settings
        costs: list[Weighted] = []
        if goal.velocity is not None:
            costs += joystick_costs(goal.velocity[:2], goal.velocity[2], settings)
        if goal.waypoint is not None:
            costs += self._waypoint_costs(goal.waypoint, present)
        if goal.height is not None:
            costs.append(Weighted(cost=Height(height=goal.height), weight=settings.height_weight))
        if goal.obstacles:
            costs += self._obstacle_costs(goal.obstacles, present)
        if costs and settings.smoothness_weight > 0.0:
            costs.append(Weighted(cost=Smoothness(), weight=settings.smoothness_weight))
        return costs

    def _obstacle_costs(self, obstacles: tuple[Obstacle, ...], present: PresentFrame) -> list[Weighted]:
        settings = self.settings
        near = Obstacles(
            obstacles=obstacles, frame=present, delta=settings.obstacle_delta, reach=settings.obstacle_reach
        )
        costs = [Weighted(cost=near, weight=settings.obstacle_weight)]
        if settings.way_ahead_weight > 0.0 and self.goal.velocity is None:  # told velocities lead around already
            ahead = WayAhead(obstacles=obstacles, frame=present, seconds=settings.way_ahead_s)
            costs.append(Weighted(cost=ahead, weight=settings.way_ahead_weight))
        return costs

    def _waypoint_costs(self, waypoint: tuple[float, float], present: PresentFrame) -> list[Weighted]:
        settings = self.settings
        place = to_present(np.array(waypoint), present)
        turn = YawRate(yaw_rate=self._turn(place, present), sway=settings.sway)
        costs = [Weighted(cost=turn, weight=settings.yaw_rate_weight)]
        if settings.approach_weight > 0.0:
            costs.append(Weighted(cost=self._approach(place), weight=settings.approach_weight))
        if settings.waypoint_weight > 0.0:
            cost = Waypoint(goal=place, cap=settings.waypoint_cap, decay=settings.waypoint_decay)
            costs.append(Weighted(cost=cost, weight=settings.waypoint_weight))
            costs.append(Weighted(cost=SpeedLimit(limit=settings.speed_limit), weight=settings.speed_limit_weight))
        return costs

    def _approach(self, place: Array) -> Approach:
        settings = self.settings
        return Approach(
            goal=place,
            forward=settings.approach_forward,
            backward=settings.approach_backward,
            sideways=settings.approach_sideways,
            braking=settings.approach_braking,
            speeding=settings.slew,
            within=settings.approach_within,
            sway=settings.sway,
        )

    def _turn(self, place: Array, present: PresentFrame) -> float:
        """Yaw rate towards the waypoint while it is far, then towards the heading asked for."""
        if np.hypot(*place) > self.settings.turn_distance:
            away = float(np.arctan2(place[1], place[0]))
        elif self.goal.heading is not None:
            away = float(wrapped(self.goal.heading - present.yaw))
        else:
            return 0.0
        return float(np.clip(self.settings.turn_gain * away, -self.settings.turn_limit, self.settings.turn_limit))


def joystick_costs(velocity: Any, yaw_rate: Any, settings: GuidanceSpec) -> list[Weighted]:
    """Velocity (2,) or (B, 2) m/s and yaw rate () or (B,) rad/s in the robot's yaw frame."""
    return [
        Weighted(
            cost=Velocity(velocity=velocity, yaw_rate=yaw_rate, sway=settings.sway), weight=settings.velocity_weight
        ),
        Weighted(cost=YawRate(yaw_rate=yaw_rate, sway=settings.sway), weight=settings.yaw_rate_weight),
    ]


def guidance_of(
    costs: Sequence[Weighted],
    settings: GuidanceSpec,
    layout: TokenLayout,
    representation: StateRepresentation = StateRepresentation.BODY_POS,
) -> Guidance:
    """Costs relative to the present as the sampler wants them, with the settings' scale and limits."""
    total = WeightedCosts(costs=costs, layout=layout, representation=representation, coupling=settings.coupling)
    return Guidance(
        gradient=total.gradient,
        spread=Following(layout=layout, representation=representation, share=settings.coupling),
        scale=settings.scale,
        max_weight=settings.max_weight,
        max_step=settings.max_step,
        min_level=settings.min_level,
        max_level=settings.max_level,
    )
