"""Every guidance cost's analytic gradient against torch autograd, in both libraries."""

import numpy as np
import pytest
import torch

from bm_core.diffusion.guidance.cost import Weighted, WeightedCosts
from bm_core.diffusion.guidance.joystick import Velocity, YawRate
from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.state import StateRepresentation, state_slices

BATCH = 3
COSTS = {
    "velocity": Velocity(velocity=(0.6, -0.2), yaw_rate=0.7),
    "velocity per plan": Velocity(velocity=np.array([[0.6, 0.0], [0.0, 0.3], [-0.4, 0.1]]), yaw_rate=[0.0, 1.0, -1.0]),
    "velocity without sway": Velocity(velocity=(0.6, -0.2), yaw_rate=0.7, sway=0.2),
    "yaw rate": YawRate(yaw_rate=-0.8),
    "yaw rate per plan": YawRate(yaw_rate=[0.4, 0.0, -0.8], sway=0.5),
}


def make_states(representation=StateRepresentation.BODY_POS, seed=0):
    """Plans near a walking robot: about upright, any heading within +-1 rad."""
    rng = np.random.default_rng(seed)
    places = state_slices(representation)
    states = 0.5 * rng.normal(size=(BATCH, 21, places.width))
    yaw, tilt = rng.uniform(-1, 1, size=(2, BATCH, 21))
    upright = np.stack([np.cos(yaw), -np.sin(yaw), np.sin(yaw), np.cos(yaw), 0.1 * tilt, 0 * yaw], axis=-1)
    states[..., places.root_rot6d] = upright + 0.02 * rng.normal(size=upright.shape)
    return states


def costs(*items):
    return WeightedCosts(costs=[Weighted(cost=item, weight=weight) for item, weight in items], layout=TokenLayout())


@pytest.mark.parametrize("name", COSTS)
def test_gradient_is_that_of_autograd(name):
    states = make_states()
    sum_of_costs = costs((COSTS[name], 1.7))
    tensor = torch.tensor(states, requires_grad=True)
    (automatic,) = torch.autograd.grad(sum_of_costs.value(tensor).sum(), tensor)
    ours = sum_of_costs.gradient(states)
    assert np.abs(ours).max() > 1e-2
    assert np.abs(ours - automatic.numpy()).max() < 1e-6


@pytest.mark.parametrize("name", COSTS)
def test_torch_runs_the_same_lines(name):
    states = make_states()
    sum_of_costs = costs((COSTS[name], 1.0))
    tensor = torch.tensor(states)
    assert np.abs(sum_of_costs.gradient(tensor).numpy() - sum_of_costs.gradient(states)).max() < 1e-12
    assert np.abs(sum_of_costs.value(tensor).numpy() - sum_of_costs.value(states)).max() < 1e-12
    assert sum_of_costs.gradient(tensor.float()).dtype == torch.float32


@pytest.mark.parametrize("name", COSTS)
def test_history_is_not_pulled_and_plans_do_not_mix(name):
    states = make_states()
    sum_of_costs = costs((COSTS[name], 1.0))
    gradient = sum_of_costs.gradient(states)
    assert np.array_equal(gradient[:, :4], np.zeros((BATCH, 4, 99)))
    other = states.copy()
    other[1] = make_states(seed=1)[1]
    assert np.array_equal(sum_of_costs.gradient(other)[[0, 2]], gradient[[0, 2]])
