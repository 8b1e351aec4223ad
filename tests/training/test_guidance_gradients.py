"""Every guidance cost's analytic gradient against torch autograd, in both libraries."""

import numpy as np
import pytest
import torch

from bm_core.diffusion.guidance.approach import Approach
from bm_core.diffusion.guidance.cost import Weighted, WeightedCosts
from bm_core.diffusion.guidance.following import Following
from bm_core.diffusion.guidance.joystick import SpeedLimit, Velocity, YawRate
from bm_core.diffusion.guidance.obstacle import Obstacle, Obstacles
from bm_core.diffusion.guidance.occupancy import distance_grid
from bm_core.diffusion.guidance.posture import Heading, Height, Posture, Smoothness
from bm_core.diffusion.guidance.shapes import Box, Capsule, Pillar, Sphere, Wall
from bm_core.diffusion.guidance.way_ahead import WayAhead
from bm_core.diffusion.guidance.waypoint import Waypoint
from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.state import StateRepresentation, state_slices
from bm_core.diffusion.trajectory import PresentFrame

BATCH = 3
FRAME = PresentFrame(pos_xy=np.array([1.0, -2.0]), yaw=np.array(0.8))
GRID = distance_grid(np.random.default_rng(5).random((40, 30)) < 0.05, (-1.0, -5.0), 0.1)
SHAPES = {
    "sphere": Sphere(center=(1.4, -1.8, 0.9), radius=0.2),
    "pillar": Pillar(center=(1.4, -1.8), radius=0.2),
    "pillar per plan": Pillar(center=np.array([[1.4, -1.8], [0.5, -2.0], [2.0, -2.0]])[:, None, None], radius=0.2),
    "capsule": Capsule(start=(1.0, -1.5, 0.0), end=(1.5, -1.0, 1.0), radius=0.1),
    "box": Box(center=(1.6, -1.6, 0.5), half_size=(0.3, 0.2, 0.5), yaw=0.4),
    "wall": Wall(point=(2.0, 0.0), normal=(-3.0, 0.5)),
    "grid": GRID,
}


def around(*shapes, **settings):
    return Obstacles(obstacles=[Obstacle(shape=shape) for shape in shapes], frame=FRAME, **settings)


COSTS = {
    "velocity": Velocity(velocity=(0.6, -0.2), yaw_rate=0.7),
    "velocity per plan": Velocity(velocity=np.array([[0.6, 0.0], [0.0, 0.3], [-0.4, 0.1]]), yaw_rate=[0.0, 1.0, -1.0]),
    "velocity without sway": Velocity(velocity=(0.6, -0.2), yaw_rate=0.7, sway=0.2),
    "yaw rate": YawRate(yaw_rate=-0.8),
    "yaw rate per plan": YawRate(yaw_rate=[0.4, 0.0, -0.8], sway=0.5),
    "speed limit": SpeedLimit(limit=0.4),
    "waypoint": Waypoint(goal=(0.3, -0.2)),
    "waypoint per plan": Waypoint(goal=np.array([[0.3, -0.2], [2.0, 1.0], [0.0, 0.0]])),
    "waypoint with a cap": Waypoint(goal=(0.5, 0.5), cap=0.6),
    "height": Height(height=0.7),
    "heading": Heading(heading=[2.0, 0.0, -1.0]),
    "posture": Posture(body_pos=np.linspace(-1, 1, 42).reshape(14, 3), weights=np.linspace(0, 2, 14)),
    "smoothness": Smoothness(),
    **{name: around(shape) for name, shape in SHAPES.items()},
    "several obstacles": around(*SHAPES.values(), delta=0.3),
    "obstacles within reach": around(*SHAPES.values(), reach=0.5),
    "obstacles for the root": around(*SHAPES.values(), whole_body=False),
    "moving obstacle": Obstacles(
        obstacles=[Obstacle(shape=SHAPES["pillar"], velocity=(0.5, -0.3)), Obstacle(shape=SHAPES["sphere"])],
        frame=FRAME,
    ),
    "approach": Approach(goal=(0.6, -0.2)),
    "approach per plan": Approach(goal=np.array([[0.3, -0.2], [2.0, 1.0], [-1.0, 0.0]]), sway=0.2),
    "way ahead": WayAhead(obstacles=[Obstacle(shape=shape) for shape in SHAPES.values()], frame=FRAME, reach=2.0),
    "obstacles, a frame per plan": Obstacles(
        obstacles=[Obstacle(shape=SHAPES["box"])],
        frame=PresentFrame(pos_xy=np.array([[1.0, -2.0], [0.0, 0.0], [2.0, -1.0]]), yaw=np.array([0.8, -1.0, 3.0])),
    ),
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


def test_coupling_is_the_chain_rule_through_places_that_velocities_lead_to():
    """Autograd of the waypoint cost with places = present + sum of velocities dt: what velocities alone can do."""
    states = make_states()
    places = state_slices(StateRepresentation.BODY_POS)
    pos, vel = (slice(part.start, part.start + 2) for part in (places.root_pos, places.root_lin_vel))
    tensor = torch.tensor(states)
    velocities = tensor[:, 4:, vel].clone().requires_grad_(True)
    steps = torch.cat([torch.zeros(BATCH, 1, 2, dtype=torch.float64), 0.04 * velocities[:, :-1].cumsum(1)], dim=1)
    led = tensor.clone()
    led[:, 4:, pos] = tensor[:, 4:5, pos] + steps
    cost = WeightedCosts(costs=[Weighted(cost=Waypoint(goal=(9.0, 9.0)))], layout=TokenLayout(), coupling=1.0)
    (automatic,) = torch.autograd.grad(cost.value(led).sum(), velocities)
    ours = cost.gradient(led.detach().numpy())[:, 4:, vel]
    bare = WeightedCosts(costs=cost.costs, layout=TokenLayout()).gradient(led.detach().numpy())[:, 4:, vel]
    assert np.abs(ours - bare - automatic.numpy()).max() < 1e-6 and float(automatic.abs().max()) > 1.0


def test_what_follows_from_a_step_is_the_same_in_torch():
    states, step = make_states(), 0.1 * make_states(seed=3)
    following = Following(layout=TokenLayout())
    ours, tensors = following(states, step), following(torch.tensor(states), torch.tensor(step))
    assert np.abs(tensors.numpy() - ours).max() < 1e-12
    assert following(torch.tensor(states).float(), torch.tensor(step).float()).dtype == torch.float32
