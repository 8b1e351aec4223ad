"""From standing to plans and back: when a goal asks for motion, who takes the first steps, what a loss means."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytest.importorskip("mujoco")

from tiny_planner import tiny_policy  # noqa: E402

from bm_core.data import shipped  # noqa: E402
from bm_core.diffusion.guidance.goal import GuidanceGoal  # noqa: E402
from bm_core.diffusion.guidance.settings import GuidanceSpec  # noqa: E402
from bm_sim2real.falls import fall_of  # noqa: E402
from bm_sim2real.guard import CommandGuard  # noqa: E402
from bm_sim2real.guidance.driver import GoalDriver  # noqa: E402
from bm_sim2real.guidance.planar_state import PlanarState  # noqa: E402
from bm_sim2real.guidance.rest import Rest  # noqa: E402
from bm_sim2real.loop import ControlLoop  # noqa: E402
from bm_sim2real.modes import Mode  # noqa: E402
from bm_sim2real.planning.machine import GuidedConfig, GuidedMachine  # noqa: E402
from bm_sim2real.policies.tracker import TrackerPolicy  # noqa: E402
from bm_sim2real.robots.mujoco import MujocoRobot  # noqa: E402
from bm_sim2real.robots.protocol import BaseState  # noqa: E402
from bm_sim2real.robots.simulation_config import SimulationConfig  # noqa: E402
from bm_sim2real.standing import plan_stop, standing_frame  # noqa: E402


def at(time=0.0, x=0.0, y=0.0, yaw=0.0):
    return PlanarState(time=time, pos_xy=np.array([x, y]), yaw=yaw, velocity=np.zeros(3))


def test_sticks_that_pass_through_zero_do_not_stop_the_robot_and_a_rest_does():
    rest, still = Rest(settings=GuidanceSpec()), GuidanceGoal(velocity=(0.0, 0.0, 0.0))
    assert rest.velocity(GuidanceGoal(velocity=(0.6, 0.0, 0.0)), at(0.0)).tolist() == [0.6, 0.0, 0.0]
    assert rest.velocity(still, at(0.1)) is not None
    assert rest.velocity(GuidanceGoal(velocity=(-0.4, 0.0, 0.0)), at(0.2)).tolist() == [-0.4, 0.0, 0.0]
    assert rest.velocity(still, at(0.3)) is not None
    assert rest.velocity(still, at(0.62)) is None
    assert Rest(settings=GuidanceSpec()).velocity(GuidanceGoal(), at()) is None


def test_a_waypoint_is_a_rest_when_near_and_stays_one_a_little_farther():
    rest, goal = Rest(settings=GuidanceSpec()), GuidanceGoal(waypoint=(1.0, 0.0))
    assert rest.velocity(goal, at(0.0)) == pytest.approx([0.6, 0.0, 0.0])
    assert rest.velocity(goal, at(0.0, yaw=np.pi)) == pytest.approx([0.0, 0.0, -0.6])
    assert rest.velocity(goal, at(1.0, x=0.85)) is not None
    assert rest.velocity(goal, at(1.4, x=0.85)) is None
    assert rest.velocity(goal, at(1.5, x=0.78)) is None
    assert rest.velocity(goal, at(1.6, x=0.70)) is not None


def test_a_heading_asked_for_keeps_the_robot_turning_at_its_waypoint():
    rest, goal = Rest(settings=GuidanceSpec()), GuidanceGoal(waypoint=(1.0, 0.0), heading=1.5)
    assert rest.velocity(goal, at(0.0, x=1.0)) is not None
    rest.velocity(goal, at(1.0, x=1.0, yaw=1.4))
    assert rest.velocity(goal, at(1.4, x=1.0, yaw=1.4)) is None


class Rig:
    """A standing robot, a planner that repeats the last action, and a driver."""

    def __init__(self):
        self.robot = MujocoRobot(SimulationConfig(base_state=BaseState.GROUND_TRUTH))
        self.robot.connect()
        tracker = TrackerPolicy.load(shipped("policies", "g1_tracker.onnx"))
        stand = standing_frame()
        pilot = tiny_policy()
        self.machine = GuidedMachine(pilot, tracker, stand, self.robot.features, plan_stop=plan_stop)
        self.machine.start_standing(self.robot.read())
        self.loop = ControlLoop(self.robot, self.machine, CommandGuard(start_mode=Mode.STAND))
        self.driver = GoalDriver(self.machine, pilot.contract)
        self.wish = GuidanceGoal()
        self.driver.source = self

    def goal(self, state):
        return self.wish

    def run(self, seconds):
        for _ in range(round(seconds / 0.02)):
            self.driver.step(self.robot.read())
            self.loop.step()


@pytest.fixture
def rig():
    return Rig()


def test_the_tracker_walks_the_robot_off_and_plans_are_asked_for_then(rig):
    rig.wish = GuidanceGoal(velocity=(0.6, 0.0, 0.0))
    rig.run(1.0)
    assert rig.machine.is_starting and rig.machine.mode is Mode.RUNNING and not rig.machine.pilot.is_wanted
    assert rig.robot.ground_truth().body_lin_vel_w[0, 0] > 0.15
    rig.run(0.2)
    assert rig.machine.is_guided and not rig.machine.is_starting


def test_a_start_that_is_called_off_ends_in_standing(rig):
    rig.wish = GuidanceGoal(velocity=(0.5, 0.0, 0.0))
    rig.run(0.9)
    rig.wish = GuidanceGoal()
    rig.run(4.5)
    assert rig.machine.mode is Mode.STAND and not rig.machine.is_starting and not rig.machine.pilot.is_wanted
    assert not fall_of(rig.robot) and rig.machine.plan_losses == 0


def test_a_start_without_a_plan_is_given_up_and_not_tried_again_until_asked_to_stand(rig):
    rig.machine.pilot.source.poll = lambda step: None
    rig.wish = GuidanceGoal(velocity=(0.5, 0.0, 0.0))
    rig.run(GuidedConfig().start_limit_s + 5.0)
    assert rig.machine.mode is Mode.STAND and rig.machine.plan_losses == 1 and not fall_of(rig.robot)
    rig.run(0.5)
    assert not rig.machine.is_starting
    rig.wish = GuidanceGoal()
    rig.run(0.1)
    rig.wish = GuidanceGoal(velocity=(0.5, 0.0, 0.0))
    rig.run(0.1)
    assert rig.machine.is_starting
