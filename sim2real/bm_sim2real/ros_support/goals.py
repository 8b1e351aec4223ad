"""bm_msgs/GuidanceGoal to our goals and back, by field names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.obstacle import Obstacle
from bm_core.diffusion.guidance.shapes import Pillar


def read_goal(message: Any) -> GuidanceGoal:
    """Numbers that are none make the goal empty: nothing is asked for."""
    velocity = (message.linear.x, message.linear.y, message.yaw_rate) if message.has_velocity else None
    waypoint = (message.waypoint.x, message.waypoint.y) if message.has_waypoint else None
    pillars = [(pillar.x, pillar.y, pillar.z) for pillar in message.pillars]
    numbers = [*(velocity or ()), *(waypoint or ()), *(number for pillar in pillars for number in pillar)]
    if not all(math.isfinite(number) for number in numbers):
        return GuidanceGoal()
    return GuidanceGoal(
        velocity=velocity,
        waypoint=waypoint,
        heading=message.heading if message.has_heading and math.isfinite(message.heading) else None,
        height=message.height if message.has_height and math.isfinite(message.height) else None,
        obstacles=tuple(Obstacle(shape=Pillar(center=np.array([x, y]), radius=r)) for x, y, r in pillars),
    )


def fill_goal(message: Any, goal: GuidanceGoal, pillars: list[Any]) -> None:
    """`pillars`: Point messages, x and y of the centre, z the radius, m."""
    message.has_velocity = goal.velocity is not None
    if goal.velocity is not None:
        message.linear.x, message.linear.y, message.yaw_rate = (float(value) for value in goal.velocity)
    message.has_waypoint = goal.waypoint is not None
    if goal.waypoint is not None:
        message.waypoint.x, message.waypoint.y = (float(value) for value in goal.waypoint)
    message.has_heading, message.heading = goal.heading is not None, float(goal.heading or 0.0)
    message.has_height, message.height = goal.height is not None, float(goal.height or 0.0)
    message.pillars = pillars
