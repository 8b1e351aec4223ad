"""Goals in the world become costs of a plan; the trim takes a bias away."""

import dataclasses
import pickle

import numpy as np
import pytest
from test_diffusion_sampler import SPEC, cold, gaussian_posterior

from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.keyframe import Keyframes
from bm_core.diffusion.guidance.obstacle import Obstacle
from bm_core.diffusion.guidance.settings import GuidanceSpec, read_guidance
from bm_core.diffusion.guidance.shapes import Pillar
from bm_core.diffusion.guidance.steering import GoalSteering
from bm_core.diffusion.guidance.trim import CommandTrim
from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.state import StateRepresentation, state_slices
from bm_core.diffusion.trajectory import PresentFrame, RobotTrajectory
from bm_core.errors import ConfigError
from bm_core.g1 import G1

PLACES = state_slices(StateRepresentation.BODY_POS)
NORTH = PresentFrame(pos_xy=np.array([5.0, 5.0]), yaw=np.array(np.pi / 2))


def pull(goal, present=NORTH, **settings):
    """Downhill direction at a plan in which the robot stands still, (N, 99)."""
    states = np.zeros((1, 21, 99))
    states[..., PLACES.root_rot6d] = [1, 0, 0, 1, 0, 0]
    states[..., PLACES.root_pos.start + 2] = 0.75
    guidance = GoalSteering(goal=goal, settings=GuidanceSpec(**settings)).guidance(present, 0.0)
    assert guidance is not None
    return -guidance.gradient(states)[0]


def test_a_goal_that_asks_for_nothing_is_no_guidance_and_says_so():
    goal = GuidanceGoal(obstacles=())
    assert goal.is_empty and GoalSteering(goal=goal).guidance(NORTH, 0.0) is None
    assert not GuidanceGoal(velocity=(0.0, 0.0, 0.0)).is_empty


def test_velocity_is_the_robots_own_and_a_waypoint_the_worlds():
    velocity = pull(GuidanceGoal(velocity=(0.6, 0.0, 0.5)), sway=1.0)
    assert velocity[4, PLACES.root_lin_vel] == pytest.approx([0.6, 0.0, 0.0])
    assert velocity[4, PLACES.root_ang_vel] == pytest.approx([0.0, 0.0, 0.5])
    # 3 m to the north of a robot that faces north: straight ahead, and no turn.
    ahead = pull(GuidanceGoal(waypoint=(5.0, 8.0)), sway=1.0)
    assert ahead[10, PLACES.root_lin_vel] == pytest.approx([0.42, 0.0, 0.0])  # 1.5 m/s^2 for 0.28 s
    assert ahead[20, PLACES.root_lin_vel] == pytest.approx([0.6, 0.0, 0.0])
    assert ahead[10, PLACES.root_ang_vel] == pytest.approx([0.0, 0.0, 0.0])
    papers = pull(GuidanceGoal(waypoint=(5.0, 8.0)), approach_weight=0.0, waypoint_weight=2.0)
    assert papers[10, PLACES.root_pos.start] > 0.5
    assert papers[10, PLACES.root_pos.start + 1] == pytest.approx(0.0, abs=1e-9)


def test_the_robot_turns_to_where_it_goes_and_on_arrival_to_its_heading():
    def turning(**goal):
        return pull(GuidanceGoal(**goal), turn_gain=1.0, turn_limit=0.6)[10, PLACES.root_ang_vel][2]

    assert turning(waypoint=(8.0, 5.0)) == pytest.approx(-0.6)
    assert turning(waypoint=(5.2, 5.0)) == 0.0
    assert turning(waypoint=(5.2, 5.0), heading=np.pi / 2 + 0.25) == pytest.approx(0.25)
    assert turning(waypoint=(5.2, 5.0), heading=-np.pi + 0.1) == pytest.approx(0.6)


def test_obstacles_and_height_join_the_sum():
    pillar = Obstacle(shape=Pillar(center=(5.0, 5.6), radius=0.2))
    alone = pull(GuidanceGoal(velocity=(0.6, 0.0, 0.0)))
    near = {"coupling": 0.0, "way_ahead_weight": 0.0}
    both = pull(GuidanceGoal(velocity=(0.6, 0.0, 0.0), obstacles=(pillar,), height=0.6), **near)
    assert np.array_equal(alone[4, PLACES.root_lin_vel], both[4, PLACES.root_lin_vel])
    assert both[4, PLACES.root_pos.start] < -0.1
    assert both[4, PLACES.root_pos.start + 2] == pytest.approx(-0.15)
    led = pull(GuidanceGoal(velocity=(0.6, 0.0, 0.0), obstacles=(pillar,)), coupling=1.0)
    assert led[4, PLACES.root_lin_vel.start] < 0.5 < alone[4, PLACES.root_lin_vel.start]


def test_on_the_way_to_a_waypoint_the_robot_keeps_the_speed_limit():
    steering = GoalSteering(goal=GuidanceGoal(waypoint=(5.0, 9.0)), settings=GuidanceSpec(speed_limit=0.7))
    states = np.zeros((1, 21, 99))
    states[..., PLACES.root_rot6d] = [1, 0, 0, 1, 0, 0]
    states[..., PLACES.root_lin_vel.start] = 1.5
    assert steering.guidance(NORTH, 0.0).gradient(states)[0, 5, PLACES.root_lin_vel.start] > 0.5


def test_keyframes_are_tokens_relative_to_the_present():
    pose = RobotTrajectory.from_joints(
        np.array([[5.0, 5.5, 0.75]]), np.array([[np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)]]), np.zeros((1, 3)),
        np.zeros((1, 3)), G1.default_joint_pos[None], np.zeros((1, 29)),
    )  # fmt: skip
    goal = GuidanceGoal(keyframes=Keyframes(times=np.array([7.4]), trajectory=pose))
    steering = GoalSteering(goal=goal)
    found = steering.keyframes(NORTH, 7.0)
    assert list(found) == [14]
    assert found[14][PLACES.root_pos] == pytest.approx([0.5, 0.0, 0.75])
    assert steering.guidance(NORTH, 7.0) is None and not goal.is_empty
    assert GoalSteering(goal=GuidanceGoal(velocity=(0.0, 0.0, 0.0))).keyframes(NORTH, 7.0) == {}


@pytest.mark.parametrize("goal", [(0.8, 0.0, 0.0), (0.0, 0.3, -0.5)])
def test_sampled_plans_follow_the_goal(goal):
    sampler = SPEC.reference_sampler()
    noise = sampler.draw_noise(np.random.default_rng(8), 3, 21)
    guidance = GoalSteering(goal=GuidanceGoal(velocity=goal), settings=GuidanceSpec(scale=1.0, sway=1.0)).guidance(
        NORTH, 0.0
    )
    free, guided = (sampler.sample(gaussian_posterior, cold(), noise, pull)[0][:, 5:] for pull in (None, guidance))

    def error(states):
        velocity = states[..., PLACES.root_lin_vel][..., :2] - goal[:2]
        return np.abs(velocity).mean() + np.abs(states[..., PLACES.root_ang_vel][..., 2] - goal[2]).mean()

    assert error(guided) < 0.75 * error(free)


def test_steering_crosses_processes():
    goal = GuidanceGoal(velocity=(0.6, 0.0, 0.0), obstacles=(Obstacle(shape=Pillar(center=(1.0, 2.0), radius=0.2)),))
    steering = GoalSteering(goal=goal)
    assert pickle.loads(pickle.dumps(steering)) == steering


@pytest.mark.parametrize(
    "change, message",
    [
        ({"min_level": 5, "max_level": 4}, "5..4"),
        ({"max_step": 0.0}, "max_step"),
        ({"obstacle_reach": 0.05}, "obstacle_reach"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        GuidanceSpec(**change)


def follow(trim, command, gain, seconds):
    """A robot that reaches `gain` of what it is told with a lag of 0.3 s, planned for every 40 ms."""
    velocity = np.zeros(3)
    for _ in range(round(seconds / 0.04)):
        told = command if trim is None else trim.step(command, velocity, 0.04)
        velocity = velocity + 0.04 / 0.3 * (gain * told - velocity)
    return velocity


def test_trim_takes_a_steady_bias_away_and_is_limited():
    command = np.array([0.6, 0.0, -0.5])
    assert follow(None, command, 0.8, 5.0)[0] == pytest.approx(0.48, abs=1e-3)
    assert follow(CommandTrim(gain=1.0, limit=0.3), command, 0.8, 6.0) == pytest.approx(command, abs=0.02)
    weak = follow(CommandTrim(gain=1.0, limit=0.05), command, 0.8, 6.0)
    assert weak[0] == pytest.approx(0.8 * 0.65, abs=1e-3)


def test_trim_forgets_the_axis_whose_command_changed():
    trim = CommandTrim(gain=1.0, limit=0.3)
    follow(trim, np.array([0.6, 0.3, 0.0]), 0.8, 6.0)
    told = trim.step(np.array([-0.4, 0.3, 0.0]), np.zeros(3), 0.04)
    assert told[0] == -0.4
    assert told[1] == pytest.approx(0.375, abs=0.01)


def test_settings_are_replaced_not_changed():
    settings = GuidanceSpec()
    assert dataclasses.replace(settings, scale=9.0) != settings
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.scale = 9.0  # type: ignore[misc]
    assert GoalSteering(goal=GuidanceGoal()).layout == TokenLayout()


def test_a_file_names_what_differs_and_nothing_unknown(tmp_path):
    path = tmp_path / "guidance.json"
    path.write_text('{"scale": 3, "max_level": 15}')
    assert read_guidance(path) == GuidanceSpec(scale=3.0, max_level=15)
    assert read_guidance(path, GuidanceSpec(sway=0.5)).sway == 0.5
    path.write_text('{"scales": 3}')
    with pytest.raises(ConfigError, match="unknown key 'scales'"):
        read_guidance(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_guidance(tmp_path / "none.json")
