"""Goals as RViz and Foxglove draw them, and markers of others as obstacles."""

from __future__ import annotations

import math

from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_sim2real.guidance.planar_state import PlanarState
from bm_sim2real.guidance.sources import Waypoints

_TARGET = ColorRGBA(r=0.1, g=0.7, b=0.2, a=0.9)
_LATER = ColorRGBA(r=0.5, g=0.5, b=0.5, a=0.6)
_ARROW = ColorRGBA(r=0.1, g=0.4, b=0.9, a=0.9)


def goal_markers(goal: GuidanceGoal, waypoints: Waypoints | None, state: PlanarState, header: Header) -> MarkerArray:
    """Waypoints as discs, the velocity as an arrow at the robot, what is gone deleted."""
    markers = [Marker(header=header, ns="guidance", action=Marker.DELETEALL)]
    if goal.waypoint is not None and waypoints is not None:
        for index, place in enumerate(waypoints.places):
            color = _TARGET if index == waypoints.index else _LATER
            markers.append(_disc(place, color, header, index))
    if goal.velocity is not None and math.hypot(*goal.velocity[:2]) > 0.01:
        markers.append(_arrow(goal.velocity, state, header))
    return MarkerArray(markers=markers)


def pillars_of(message: MarkerArray) -> list[Point]:
    """Cylinders and spheres of a MarkerArray: x and y of the centre, z = radius, m."""
    shapes = (Marker.CYLINDER, Marker.SPHERE)
    found = [marker for marker in message.markers if marker.type in shapes and marker.action == Marker.ADD]
    return [Point(x=m.pose.position.x, y=m.pose.position.y, z=0.5 * max(m.scale.x, m.scale.y)) for m in found]


def _disc(place: tuple[float, float], color: ColorRGBA, header: Header, index: int) -> Marker:
    marker = Marker(header=header, ns="waypoints", id=index, type=Marker.CYLINDER, action=Marker.ADD, color=color)
    marker.pose.position.x, marker.pose.position.y, marker.pose.position.z = *place, 0.01
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = 0.6  # arrived within 0.3 m
    marker.scale.z = 0.02
    return marker


def _arrow(velocity: tuple[float, float, float], state: PlanarState, header: Header) -> Marker:
    cos, sin = math.cos(state.yaw), math.sin(state.yaw)
    x, y = (float(value) for value in state.pos_xy)
    way = (cos * velocity[0] - sin * velocity[1], sin * velocity[0] + cos * velocity[1])
    marker = Marker(header=header, ns="velocity", type=Marker.ARROW, action=Marker.ADD, color=_ARROW)
    marker.pose.orientation.w = 1.0
    marker.points = [Point(x=x, y=y, z=0.05), Point(x=x + way[0], y=y + way[1], z=0.05)]
    marker.scale.x, marker.scale.y, marker.scale.z = 0.04, 0.08, 0.1
    return marker
