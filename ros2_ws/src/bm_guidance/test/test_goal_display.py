"""Odometry as goal sources see it, goals as markers, markers of others as obstacles."""

import math

import pytest
from bm_guidance.markers import goal_markers, pillars_of
from bm_guidance.odometry import heading_of, planar_state_of
from geometry_msgs.msg import Quaternion
from nav_msgs.msg import Odometry
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_sim2real.guidance.sources import Waypoints

LEFT = Quaternion(z=math.sqrt(0.5), w=math.sqrt(0.5))
"""A quarter turn to the left."""


def odometry() -> Odometry:
    message = Odometry()
    message.pose.pose.orientation = LEFT
    message.pose.pose.position.x, message.pose.pose.position.z = 2.0, 0.8
    message.twist.twist.linear.x = 0.5
    return message


def test_the_heading_is_a_quarter_turn():
    assert heading_of(LEFT) == pytest.approx(math.pi / 2)
    assert planar_state_of(odometry()).yaw == pytest.approx(math.pi / 2)


def test_a_velocity_is_an_arrow_that_turns_with_the_robot():
    goal = GuidanceGoal(velocity=(0.5, 0.0, 0.0))
    (arrow,) = [
        m for m in goal_markers(goal, None, planar_state_of(odometry()), Header()).markers if m.ns == "velocity"
    ]
    tail, head = arrow.points
    assert (tail.x, tail.y) == pytest.approx((2.0, 0.0))
    assert (head.x, head.y) == pytest.approx((2.0, 0.5))


def test_each_waypoint_is_a_disc_at_its_place():
    waypoints = Waypoints([(1.0, 0.0), (1.0, 3.0)])
    goal = GuidanceGoal(waypoint=(1.0, 0.0))
    markers = goal_markers(goal, waypoints, planar_state_of(odometry()), Header()).markers
    places = [(m.pose.position.x, m.pose.position.y) for m in markers if m.ns == "waypoints"]
    assert places == [(1.0, 0.0), (1.0, 3.0)]


def test_cylinders_and_spheres_are_obstacles_and_nothing_else():
    array = MarkerArray()
    for kind in (Marker.CYLINDER, Marker.ARROW, Marker.SPHERE):
        marker = Marker(type=kind)
        marker.pose.position.x, marker.scale.x, marker.scale.y = float(kind), 0.4, 0.6
        array.markers.append(marker)
    assert [(point.x, point.z) for point in pillars_of(array)] == [
        (float(Marker.CYLINDER), pytest.approx(0.3)),
        (float(Marker.SPHERE), pytest.approx(0.3)),
    ]
