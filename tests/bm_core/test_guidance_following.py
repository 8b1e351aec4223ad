"""What follows from a pull on velocities: places and headings that agree with them."""

import numpy as np
import pytest

from bm_core.diffusion.guidance.following import Following
from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.state import StateRepresentation, state_slices

LAYOUT = TokenLayout()
PLACES = state_slices(StateRepresentation.BODY_POS)
FUTURE = np.arange(17) * 0.04


def states_facing(yaw):
    """A plan whose root faces `yaw` (21,) rad all along."""
    states = np.zeros((1, 21, 99))
    cos, sin, zero = np.cos(yaw), np.sin(yaw), np.zeros(21)
    states[0, :, PLACES.root_rot6d] = np.stack([cos, -sin, sin, cos, zero, zero], axis=-1)
    return states


def heading(states):
    rotation = states[0, 4:, PLACES.root_rot6d]
    return np.arctan2(rotation[:, 2], rotation[:, 0])


def step_of(velocity=(0.0, 0.0), yaw_rate=0.0, place=0.0):
    step = np.zeros((1, 21, 99))
    step[:, 4:, PLACES.root_lin_vel.start : PLACES.root_lin_vel.start + 2] = velocity
    step[:, 4:, PLACES.root_ang_vel.stop - 1] = yaw_rate
    step[:, 4:, PLACES.root_pos.start] = place
    return step


def test_a_steady_velocity_leads_to_a_straight_line_from_the_present():
    moved = Following(layout=LAYOUT)(states_facing(np.zeros(21)), step_of(velocity=(0.5, -0.2)))
    assert moved[0, 4:, PLACES.root_pos.start] == pytest.approx(0.5 * FUTURE)
    assert moved[0, 4:, PLACES.root_pos.start + 1] == pytest.approx(-0.2 * FUTURE)
    assert np.array_equal(moved[:, :4], np.zeros((1, 4, 99)))


def test_a_yaw_rate_turns_the_planned_headings_by_its_integral():
    states = states_facing(np.linspace(-0.3, 1.0, 21))
    moved = Following(layout=LAYOUT)(states, step_of(yaw_rate=0.8))
    assert heading(states + moved) - heading(states) == pytest.approx(0.8 * FUTURE)
    assert np.linalg.norm((states + moved)[0, 4:, PLACES.root_rot6d][:, ::2], axis=1) == pytest.approx(1.0)


def test_pulls_on_places_count_by_way_of_velocities_only():
    states, pull = states_facing(np.zeros(21)), step_of(velocity=(0.5, 0.0), place=9.0)
    both = [Following(layout=LAYOUT, share=share)(states, pull)[0, 4:, PLACES.root_pos.start] for share in (1.0, 0.0)]
    assert both[0] == pytest.approx(0.5 * FUTURE)
    assert both[1] == pytest.approx(9.0)
