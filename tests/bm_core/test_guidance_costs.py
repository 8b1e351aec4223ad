"""Guidance costs: published formulas, distances to shapes, frames and keyframes. Gradients: tests/training."""

import numpy as np
import pytest

from bm_core.diffusion.guidance.approach import Approach
from bm_core.diffusion.guidance.barrier import finite_barrier, relaxed_barrier
from bm_core.diffusion.guidance.cost import Weighted, WeightedCosts
from bm_core.diffusion.guidance.frame import to_present, to_world, wrapped
from bm_core.diffusion.guidance.joystick import Velocity
from bm_core.diffusion.guidance.keyframe import Keyframes
from bm_core.diffusion.guidance.obstacle import BODY_RADII, Obstacle, Obstacles, nearest
from bm_core.diffusion.guidance.occupancy import distance_grid
from bm_core.diffusion.guidance.plan_view import PlanView
from bm_core.diffusion.guidance.posture import Posture
from bm_core.diffusion.guidance.shapes import Box, Capsule, Pillar, Sphere, Wall
from bm_core.diffusion.guidance.waypoint import Waypoint
from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.state import StateRepresentation, encode_states
from bm_core.diffusion.trajectory import PresentFrame, RobotTrajectory
from bm_core.errors import ConfigError
from bm_core.g1 import G1

LAYOUT = TokenLayout()
ORIGIN = PresentFrame(pos_xy=np.zeros(2), yaw=np.array(0.0))


def walking(velocity, steps=40, height=0.75):
    """A robot in its default pose that glides along at (vx, vy) m/s, heading 0."""
    times = 0.04 * np.arange(steps)
    pos = np.stack([velocity[0] * times, velocity[1] * times, np.full(steps, height)], axis=-1)
    still = np.zeros((steps, 3))
    return RobotTrajectory.from_joints(
        pos,
        np.tile([1.0, 0.0, 0.0, 0.0], (steps, 1)),
        np.tile([*velocity, 0.0], (steps, 1)),
        still,
        np.tile(G1.default_joint_pos, (steps, 1)),
        np.zeros((steps, 29)),
    )


def view(velocity=(0.5, 0.0)):
    states = encode_states(walking(velocity).take(np.arange(17)), ORIGIN)
    return PlanView(states[None], StateRepresentation.BODY_POS, 0.04)


def test_joystick_is_half_the_squared_error_and_turns_with_the_command():
    value, gradient = Velocity(velocity=(0.8, 0.1)).evaluate(view())
    assert value.sum() == pytest.approx(17 * 0.5 * (0.3**2 + 0.1**2))
    assert gradient.root_lin_vel[0, 5] == pytest.approx([-0.3, -0.1, 0.0])
    _, turning = Velocity(velocity=(0.5, 0.0), yaw_rate=np.pi / 2).evaluate(view())
    # After 0.64 s at 90 deg/s the robot faces 57.6 deg to the left: cos 0.5358, sin 0.8443.
    assert turning.root_lin_vel[0, 16] == pytest.approx([0.5 - 0.5 * 0.5358, -0.5 * 0.8443, 0.0], abs=1e-4)


def test_without_sway_only_the_mean_velocity_counts():
    plan = view()
    plan.root_lin_vel[0, :, 1] = 0.2 * np.sin(np.arange(17) * 2 * np.pi / 17)
    value, _ = Velocity(velocity=(0.5, 0.0), sway=0.0).evaluate(plan)
    assert value.sum() == pytest.approx(0.0, abs=1e-20)
    assert Velocity(velocity=(0.5, 0.0)).evaluate(plan)[0].sum() > 0.1


def test_waypoint_is_equation_8():
    value, gradient = Waypoint(goal=(1.0, 0.0)).evaluate(view())
    # Token 16: at 0.32 m, so d = 0.68, e^(-1.36) = 0.25666.
    assert value[0, 16] == pytest.approx((1 - 0.25666) * 0.68**2 + 0.25666 * 0.25, rel=1e-4)
    assert gradient.root_pos[0, 16] == pytest.approx([-2 * (1 - 0.25666) * 0.68, 0.0, 0.0], rel=1e-4)
    assert gradient.root_lin_vel[0, 16] == pytest.approx([2 * 0.25666 * 0.5, 0.0, 0.0], rel=1e-4)


def test_a_capped_waypoint_pulls_no_harder_from_further_away():
    far, further = (Waypoint(goal=(x, 0.0), cap=1.0).evaluate(view())[1].root_pos[0, 0, 0] for x in (5.0, 50.0))
    assert far == pytest.approx(-2.0, rel=1e-3) and further == pytest.approx(-2.0, rel=1e-3)
    assert Waypoint(goal=(5.0, 0.0)).evaluate(view())[1].root_pos[0, 0, 0] == pytest.approx(-10.0, rel=1e-3)


def test_barrier_is_equation_10_and_joins_smoothly():
    value, slope = relaxed_barrier(np.array([0.5, 0.1, 0.0, -0.1]), 0.1)
    # By hand: -ln 0.5; -ln 0.1; -ln 0.1 + (4 - 1) / 2; -ln 0.1 + (9 - 1) / 2.
    assert value == pytest.approx([0.693147, 2.302585, 3.802585, 6.302585], abs=1e-6)
    assert slope == pytest.approx([-2.0, -10.0, -20.0, -30.0])
    below, above = relaxed_barrier(np.array([0.1 - 1e-7, 0.1 + 1e-7]), 0.1)
    assert below[0] == pytest.approx(below[1], abs=1e-5) and above[0] == pytest.approx(above[1], abs=1e-4)


def test_barrier_of_limited_reach_ends_in_zero_without_a_kink():
    value, slope = finite_barrier(np.array([0.05, 0.5 - 1e-6, 0.5, 3.0]), 0.1, 0.5)
    assert value[1:] == pytest.approx(0.0, abs=1e-6) and slope[1:] == pytest.approx(0.0, abs=1e-4)
    assert value[0] > 0.5 and slope[0] < -10.0


@pytest.mark.parametrize(
    "shape, point, expected",
    [
        (Sphere(center=(1, 2, 3), radius=0.5), (1, 2, 5), 1.5),
        (Pillar(center=(1, 2), radius=0.2), (4, 6, 99), 4.8),
        (Pillar(center=(1, 2), radius=0.2), (1, 2.1, 0), -0.1),
        (Capsule(start=(0, 0, 0), end=(0, 0, 1), radius=0.1), (0.3, 0.4, 0.5), 0.4),
        (Capsule(start=(0, 0, 0), end=(0, 0, 1), radius=0.1), (0, 0, 3), 1.9),
        (Box(center=(0, 0, 0), half_size=(1, 2, 3)), (4, 6, 0), 5.0),
        (Box(center=(0, 0, 0), half_size=(1, 2, 3)), (0.8, 0, 0), -0.2),
        (Box(center=(0, 0, 0), half_size=(1, 2, 3), yaw=np.pi / 2), (0, 1.5, 0), 0.5),
        (Wall(point=(2, 0), normal=(-2, 0)), (0.5, 7, 1), 1.5),
        (Wall(point=(2, 0), normal=(-2, 0)), (2.5, 7, 1), -0.5),
    ],
)
def test_distances_to_shapes(shape, point, expected):
    distance, gradient = shape.distance(np.array([point], dtype=float))
    assert distance[0] == pytest.approx(expected, abs=1e-6)
    assert np.linalg.norm(gradient[0]) == pytest.approx(1.0, abs=1e-6)
    ahead, _ = shape.distance(np.array([point]) + 0.01 * gradient)
    assert ahead[0] - distance[0] == pytest.approx(0.01, abs=1e-6)


def test_grid_distances_are_exact_at_the_centres_and_cross_zero_at_the_borders():
    rng = np.random.default_rng(0)
    occupied = rng.random((23, 31)) < 0.1
    grid = distance_grid(occupied, (-1.0, 2.0), 0.1)
    centres = np.stack(np.meshgrid(np.arange(31), np.arange(23)), axis=-1).astype(float)
    to = {flag: np.linalg.norm(centres[:, :, None] - centres[occupied == flag], axis=-1).min(-1) for flag in (0, 1)}
    expected = 0.1 * np.where(occupied, 0.5 - to[0], to[1] - 0.5)
    points = np.concatenate([centres * 0.1 + [-1.0, 2.0], np.zeros((23, 31, 1))], axis=-1)
    assert np.abs(grid.distance(points)[0] - expected).max() < 1e-7


def test_grid_beyond_its_border_adds_the_way_there_and_a_free_grid_is_far_from_everything():
    occupied = np.zeros((20, 20), dtype=bool)
    assert distance_grid(occupied, (0.0, 0.0), 0.1).values.min() > 2.0
    occupied[:, 19] = True
    grid = distance_grid(occupied, (0.0, 0.0), 0.1)
    distance, gradient = grid.distance(np.array([[-1.0, 0.5, 0.0]]))
    assert distance[0] == pytest.approx(1.85 + 1.0, abs=1e-6)
    assert gradient[0] == pytest.approx([-1.0, 0.0, 0.0], abs=1e-6)
    with pytest.raises(ConfigError, match="2 x 2"):
        distance_grid(np.zeros((1, 5), dtype=bool), (0.0, 0.0), 0.1)


def test_a_moving_obstacle_is_where_it_will_be():
    pillar = Obstacle(shape=Pillar(center=(2.0, 0.0), radius=0.2), velocity=(-1.0, 0.0))
    distance, _ = nearest([pillar], np.zeros((3, 3)), np.array([0.0, 0.5, 1.5]))
    assert distance == pytest.approx([1.8, 1.3, 0.3], abs=1e-6)


def test_obstacles_push_the_root_away_in_the_robots_own_frame():
    """A pillar to the north of a robot that faces north lies ahead of it: it is pushed back along its own x."""
    north = PresentFrame(pos_xy=np.array([5.0, 5.0]), yaw=np.array(np.pi / 2))
    cost = Obstacles(obstacles=[Obstacle(shape=Pillar(center=(5.0, 6.0), radius=0.2))], frame=north, whole_body=False)
    _, gradient = cost.evaluate(view((0.0, 0.0)))
    assert gradient.root_pos[0, 0, 0] > 1.0
    assert abs(gradient.root_pos[0, 0, 1]) < 0.01 * gradient.root_pos[0, 0, 0]


def test_every_body_has_a_radius_and_the_robot_is_symmetric():
    assert len(BODY_RADII) == 14 and min(BODY_RADII) >= 0.08
    cost = Obstacles(obstacles=[Obstacle(shape=Pillar(center=(0.5, 0.0), radius=0.2))], frame=ORIGIN)
    plan = view((0.0, 0.0))
    _, gradient = cost.evaluate(plan)
    left, right = gradient.body_pos[0, 0, 1:4], gradient.body_pos[0, 0, 4:7]
    assert left == pytest.approx(right * [1.0, -1.0, 1.0], abs=1e-6)


def test_costs_that_need_bodies_refuse_joint_rot():
    plan = PlanView(np.zeros((1, 17, 73)), StateRepresentation.JOINT_ROT, 0.04)
    with pytest.raises(ConfigError, match="body_pos model"):
        Posture(body_pos=np.zeros((14, 3)), weights=np.ones(14)).evaluate(plan)


def test_weights_are_factors_and_gradients_add_up():
    states = np.concatenate([np.zeros((1, 4, 99)), view().states], axis=1)
    goal, stop = Velocity(velocity=(0.8, 0.0)), Velocity(velocity=(0.0, 0.0))

    def total(*items):
        return WeightedCosts(costs=[Weighted(cost=c, weight=w) for c, w in items], layout=LAYOUT)

    both = total((goal, 2.0), (stop, 0.5)).gradient(states)
    assert both == pytest.approx(2.0 * total((goal, 1.0)).gradient(states) + 0.5 * total((stop, 1.0)).gradient(states))
    assert total((goal, 2.0)).value(states) == pytest.approx([2.0 * 17 * 0.5 * 0.09])


def test_goals_go_to_the_present_frame_and_back():
    present = PresentFrame(pos_xy=np.array([1.0, 2.0]), yaw=np.array(np.pi / 2))
    assert to_present(np.array([1.0, 5.0]), present) == pytest.approx([3.0, 0.0])
    assert to_present(np.array([0.0, 2.0]), present) == pytest.approx([0.0, 1.0])
    points = np.random.default_rng(0).normal(size=(7, 2))
    assert to_world(to_present(points, present), present) == pytest.approx(points)
    assert wrapped(np.array([3.5, -3.5, 0.1])) == pytest.approx([3.5 - 2 * np.pi, 2 * np.pi - 3.5, 0.1])


def keyframes(times):
    return Keyframes(times=np.array(times), trajectory=walking((0.5, 0.0), steps=len(times)))


def test_keyframes_become_tokens_at_their_time():
    # 0.2 s and 0.6 s ahead: tokens 4 + 5 and 4 + 15; the past one and the one beyond 0.64 s are left out.
    frames = keyframes([9.9, 10.2, 10.6, 11.0])
    found = frames.tokens(10.0, ORIGIN, LAYOUT)
    assert list(found) == [9, 19]
    expected = encode_states(frames.trajectory.take(np.array([1, 2])), ORIGIN)
    assert np.stack(list(found.values())) == pytest.approx(expected)
    assert frames.tokens(20.0, ORIGIN, LAYOUT) == {}


def test_keyframes_have_a_mean_velocity_in_their_heading():
    frames = keyframes(0.04 * np.arange(26))
    assert frames.velocity(0.2, 0.8) == pytest.approx([0.5, 0.0, 0.0], abs=1e-6)
    assert frames.velocity(0.5, 9.0) == pytest.approx([0.5, 0.0, 0.0], abs=1e-6)
    assert (frames.velocity(5.0, 9.0) == 0.0).all()


def test_of_two_keyframes_in_one_token_the_later_counts_and_times_must_increase():
    index, tokens = keyframes([0.19, 0.21, 0.4]).ahead(0.0, LAYOUT)
    assert (index.tolist(), tokens.tolist()) == ([1, 2], [9, 14])
    with pytest.raises(ConfigError, match="increase"):
        keyframes([0.2, 0.2])


def approaching(goal, velocity=(0.5, 0.0), **settings):
    """v* of every token of a robot that glides along x, (17, 2)."""
    plan = view(velocity)
    _, gradient = Approach(goal=goal, **settings).evaluate(plan)
    return (plan.root_lin_vel - gradient.root_lin_vel)[0, :, :2]


def test_an_approach_goes_straight_to_the_place_and_brakes_to_stand_before_it():
    far = approaching((3.0, 4.0), forward=0.6, sideways=0.6)
    assert np.linalg.norm(far[8]) == pytest.approx(0.6) and far[0, 1] / far[0, 0] == pytest.approx(4 / 3)
    near = approaching((0.45, 0.0), braking=0.4, within=0.1)
    # 0.45 m away: 0.35 m to stop in, v^2 = 2 * 0.4 * 0.35; 0.2 s later 0.1 m less.
    assert near[0] == pytest.approx([0.5292, 0.0], abs=1e-4)
    assert near[5] == pytest.approx([np.sqrt(0.8 * 0.25), 0.0])
    assert approaching((0.3, 0.0))[16] == pytest.approx([0.0, 0.0], abs=1e-9)


def test_an_approach_is_slower_backwards_and_to_the_side_and_never_leaps():
    assert approaching((-3.0, 0.0), backward=0.3)[0] == pytest.approx([-0.3, 0.0])
    assert approaching((0.0, 3.0), sideways=0.25)[0] == pytest.approx([0.0, 0.25])
    leap = approaching((5.0, 0.0), velocity=(0.1, 0.0), speeding=1.0)
    assert leap[0] == pytest.approx([0.14, 0.0]) and leap[16] == pytest.approx([0.6, 0.0])
