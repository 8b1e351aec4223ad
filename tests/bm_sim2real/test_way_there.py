"""A waypoint among obstacles becomes a velocity that leads around them, until nothing is in between."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from tiny_planner import tiny_policy  # noqa: E402

from bm_core.diffusion.guidance.goal import GuidanceGoal  # noqa: E402
from bm_core.diffusion.guidance.obstacle import Obstacle  # noqa: E402
from bm_core.diffusion.guidance.settings import GuidanceSpec  # noqa: E402
from bm_core.diffusion.guidance.shapes import Pillar  # noqa: E402
from bm_sim2real.guidance.around import AroundConfig  # noqa: E402
from bm_sim2real.guidance.planar_state import PlanarState  # noqa: E402
from bm_sim2real.guidance.steer import GoalSteerer  # noqa: E402
from bm_sim2real.guidance.way_there import way_there  # noqa: E402

SETTINGS = GuidanceSpec()


def pillar(x, y, **kwargs):
    return Obstacle(shape=Pillar(center=(x, y), radius=0.2), **kwargs)


def state_at(pos=(0.0, 0.0), yaw=0.0):
    return PlanarState(time=0.0, pos_xy=np.array(pos), yaw=yaw, velocity=np.zeros(3))


def led(place, *obstacles, pos=(0.0, 0.0), yaw=0.0):
    return way_there(place, state_at(pos, yaw), obstacles, SETTINGS, AroundConfig())


def steerer():
    return GoalSteerer(tiny_policy().contract.spec, SETTINGS)


ASIDE = pillar(0.0, 3.0)


def test_without_obstacles_the_planner_finds_the_way():
    assert led((3.0, 0.0)) is None


def test_a_far_place_is_faced_and_walked_to():
    assert led((3.0, 0.0), ASIDE) == pytest.approx((0.6, 0.0, 0.0))
    turning = led((3.0, 3.0), pillar(-2.0, 0.0))
    assert turning is not None
    forward, left, turn = turning
    assert 0.0 < forward < 0.6 and left == 0.0 and turn == SETTINGS.turn_limit


def test_what_is_in_between_is_walked_around_far_and_near():
    for place, obstacle in (((4.0, 0.0), pillar(1.2, 0.1)), ((0.79, 0.0), pillar(0.6, 0.3))):
        velocity = led(place, obstacle)
        assert velocity is not None and velocity[2] < -0.1


def test_the_last_bit_is_the_planners_where_it_is_clear():
    assert led((0.81, 0.0), ASIDE) is not None
    assert led((0.79, 0.0), ASIDE) is None
    # Also backwards, and back to what is in the way it turns first, away from what is too near.
    assert led((-0.7, 0.0), ASIDE) is None
    assert led((-0.7, 0.01), pillar(-0.4, 0.2)) == pytest.approx((0.4, 0.0, SETTINGS.turn_limit))
    assert led((0.25, 0.0), pillar(0.5, 0.0)) is None


def test_what_stands_behind_or_beside_the_place_is_not_in_the_way():
    assert led((1.0, 0.0), pillar(1.9, 0.0)) == pytest.approx((0.6, 0.0, 0.0))
    # 0.1 m more than the robot needs is what this place has.
    assert led((1.0, 0.0), pillar(1.0, 0.65)) == pytest.approx((0.6, 0.0, 0.0))
    assert led((0.7, 0.0), pillar(0.7, 0.65)) is None


@pytest.mark.parametrize("offset", [0.0, 0.07, -0.3])
@pytest.mark.parametrize("beyond", [0.7, 1.2, 3.0])
def test_a_body_that_is_slow_to_follow_arrives_and_keeps_clear(offset, beyond):
    center, end, dt = np.array([2.0, offset]), (2.0 + beyond, 0.0), 0.04
    goal = GuidanceGoal(waypoint=end, obstacles=(pillar(*center),))
    robot = steerer()
    state, least, told = state_at(), 9.0, goal
    for _ in range(400):
        told = robot.step(goal, state, dt).goal
        if told.velocity is None:
            break
        assert told.waypoint is None
        velocity = state.velocity + dt / 0.5 * (np.array(told.velocity) - state.velocity)
        yaw = state.yaw + dt * velocity[2]
        place = state.pos_xy + dt * velocity[0] * np.array([np.cos(yaw), np.sin(yaw)])
        state = dataclasses.replace(state, pos_xy=place, yaw=yaw, velocity=velocity)
        least = min(least, float(np.hypot(*(place - center))) - 0.2)
    assert told.velocity is None and told.waypoint == end
    assert np.hypot(*(state.pos_xy - np.array(end))) < 0.8
    assert least > 0.4


def test_a_waypoint_said_with_a_velocity_stays():
    goal = GuidanceGoal(waypoint=(3.0, 0.0), velocity=(0.1, 0.0, 0.0), obstacles=(ASIDE,))
    assert steerer().step(goal, state_at(), 0.02).goal.waypoint == (3.0, 0.0)


def test_obstacles_are_left_to_the_plan_where_no_velocity_leads_around_them():
    """A barrier in the plan beside a command that leads around drowns the turn of that command."""

    def left(**goal):
        return steerer().step(GuidanceGoal(obstacles=(ASIDE,), **goal), state_at(), 0.02).goal.obstacles

    assert left(velocity=(0.5, 0.0, 0.0)) == ()
    assert left(waypoint=(3.0, 0.0)) == ()
    assert left(velocity=(-0.3, 0.0, 0.0)) == (ASIDE,)
    assert left(waypoint=(0.5, 0.0)) == (ASIDE,)
    assert left(waypoint=(3.0, 0.0), velocity=(0.1, 0.0, 0.0)) == (ASIDE,)
