"""A told velocity leads around what is in its way, and is left alone where nothing is."""

import numpy as np
import pytest

from bm_core.diffusion.guidance.obstacle import Obstacle
from bm_core.diffusion.guidance.shapes import Pillar
from bm_sim2real.guidance.around import AroundConfig, around
from bm_sim2real.guidance.planar_state import PlanarState

CONFIG = AroundConfig()


def pillar(x, y, **kwargs):
    return Obstacle(shape=Pillar(center=(x, y), radius=0.2), **kwargs)


def led(told, *obstacles, pos=(0.0, 0.0), yaw=0.0, speed=0.0):
    state = PlanarState(time=0.0, pos_xy=np.array(pos), yaw=yaw, velocity=np.array([speed, 0.0, 0.0]))
    return around(told, state, obstacles, CONFIG)


def test_what_is_not_in_the_way_changes_nothing():
    told = (0.6, 0.0, 0.1)
    assert led(told) == told
    assert led(told, pillar(1.0, 2.0), pillar(-1.0, 0.0), pillar(4.0, 0.0)) == told
    assert led((-0.4, 0.0, 0.0), pillar(-1.0, 0.0)) == (-0.4, 0.0, 0.0)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_it_turns_to_the_side_on_which_there_is_more_room(side):
    forward, left, turn = led((0.6, 0.0, 0.0), pillar(1.2, 0.1 * side))
    assert turn * side <= -0.2 and forward > 0.1 and left == 0.0
    # The same in another place and another heading.
    place = np.array([3.0, 4.0]) + [-0.1 * side, 1.2]
    assert led((0.6, 0.0, 0.0), pillar(*place), pos=(3.0, 4.0), yaw=np.pi / 2) == pytest.approx((forward, left, turn))


def test_what_comes_into_the_way_counts_where_it_will_be():
    told = (0.6, 0.0, 0.0)
    assert led(told, pillar(1.2, 1.2)) == told
    assert led(told, pillar(1.2, 1.2, velocity=(0.0, -0.6))) != told


def test_who_turns_on_the_spot_gets_out_of_the_way_of_what_comes_but_not_of_what_stands():
    told = (0.0, 0.0, 0.6)
    assert led(told, pillar(0.0, 1.2)) == told
    # From the left it comes to where the robot stands: a step back, on with the turn.
    assert led(told, pillar(0.0, 1.2, velocity=(0.0, -0.3))) == (-0.3, 0.0, 0.6)
    assert led(told, pillar(0.7, 0.0, velocity=(-0.3, 0.0)))[0] < 0.0


def test_the_speed_that_the_body_has_goes_on_for_a_while():
    told, ahead = (0.0, 0.0, 0.3), pillar(1.1, 0.0)
    assert led(told, ahead) == told
    assert led(told, ahead, speed=0.9) != told


@pytest.mark.parametrize("offset", [0.0, 0.07, -0.3])
def test_a_body_that_is_slow_to_follow_passes_with_clearance(offset):
    obstacle, dt = pillar(2.0, offset), 0.04
    place, yaw, velocity, least = np.zeros(2), 0.0, np.array([0.6, 0.0, 0.0]), 9.0
    for _ in range(200):
        told = 0.6, 0.0, float(np.clip(-yaw, -0.6, 0.6))
        wanted = np.array(led(told, obstacle, pos=place, yaw=yaw, speed=velocity[0]))
        velocity += dt / 0.5 * (wanted - velocity)
        yaw += dt * velocity[2]
        place = place + dt * velocity[0] * np.array([np.cos(yaw), np.sin(yaw)])
        least = min(least, float(np.hypot(*(place - [2.0, offset]))) - 0.2)
    assert place[0] > 2.5
    assert least > 0.4
