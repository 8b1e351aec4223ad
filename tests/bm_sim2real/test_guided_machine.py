"""The state machine on plans: takes over when the first is there, and always leaves the robot to the tracker."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from tiny_planner import frozen, tiny_policy  # noqa: E402

from bm_core.errors import RobotError  # noqa: E402
from bm_sim2real.falls import fall_of  # noqa: E402
from bm_sim2real.guard import CommandGuard  # noqa: E402
from bm_sim2real.loop import ControlLoop  # noqa: E402
from bm_sim2real.modes import Mode  # noqa: E402
from bm_sim2real.planning.machine import GuidedMachine  # noqa: E402
from bm_sim2real.policies.tracker import TrackerPolicy  # noqa: E402
from bm_sim2real.robots.mujoco import MujocoRobot  # noqa: E402
from bm_sim2real.robots.protocol import BaseState  # noqa: E402
from bm_sim2real.robots.simulation_config import SimulationConfig  # noqa: E402


@pytest.fixture
def rig(balancer):
    """A robot balanced by the tracker, with a policy that repeats the last action; (robot, machine, loop)."""

    def build(plan_stop=None, **policy):
        robot = MujocoRobot(SimulationConfig(base_state=BaseState.GROUND_TRUTH))
        robot.connect()
        tracker = TrackerPolicy(balancer.contract, balancer.network)
        machine = GuidedMachine(tiny_policy(**policy), tracker, balancer.stand, robot.features, plan_stop=plan_stop)
        machine.start_standing(robot.read())
        loop = ControlLoop(robot, machine, CommandGuard(start_mode=Mode.STAND))
        run(loop, 50)
        return robot, machine, loop

    return build


def run(loop, steps):
    for _ in range(steps):
        loop.step()


def test_plans_take_over_when_the_first_has_arrived_and_not_before(rig):
    robot, machine, loop = rig(latency_steps=3)
    machine.guide()
    modes = []
    for _ in range(5):
        loop.step()
        modes.append((machine.mode, machine.is_guided))
    assert modes == [(Mode.STAND, False)] * 3 + [(Mode.RUNNING, True)] * 2
    assert loop.fault is None and machine.output.q is not None


def test_the_first_action_of_a_frozen_plan_is_what_the_tracker_did_last(rig):
    robot, machine, loop = rig(latency_steps=0)
    targets = []
    step = machine.step

    def watched(state):
        command = step(state)
        targets.append(command.low.q)
        return command

    machine.step = watched
    run(loop, 2)
    machine.guide()
    run(loop, 1)
    assert machine.is_guided
    np.testing.assert_allclose(targets[-1], targets[-2], atol=1e-5)


def test_brake_gives_the_robot_back_to_the_tracker_which_stands(rig):
    robot, machine, loop = rig()
    machine.guide()
    run(loop, 10)
    machine.brake(robot.read())
    run(loop, 100)
    assert machine.mode is Mode.STAND and not machine.is_guided and not machine.pilot.is_wanted
    assert loop.fault is None and not fall_of(robot) and machine.plan_losses == 0


def test_a_planner_that_falls_silent_ends_in_standing(rig):
    robot, machine, loop = rig()
    machine.guide()
    run(loop, 10)
    machine.pilot.source.poll = lambda step: None
    modes = []
    for _ in range(20):
        loop.step()
        modes.append(machine.mode)
    assert modes[3] is Mode.RUNNING and modes[-1] is Mode.STAND  # runs on while the plan lasts, not for ever
    run(loop, 100)
    assert machine.plan_losses == 1 and loop.fault is None and not fall_of(robot)


def test_a_stop_is_looked_for_while_the_plan_lasts_and_followed_when_found(rig, balancer):
    from bm_sim2real.blend import still

    attempts = []

    def third_time_lucky(state, frame):
        attempts.append(frame.body_pos_w[0].copy())
        if len(attempts) < 3:
            raise RobotError("no foothold")
        stop = still(balancer.stand)
        stop.align(frame.anchor_pos_w, frame.anchor_quat_w, 0)
        return stop

    robot, machine, loop = rig(plan_stop=third_time_lucky)
    machine.guide()
    run(loop, 10)
    machine.brake(robot.read())
    modes = []
    for _ in range(4):
        loop.step()
        modes.append(machine.mode)
    assert modes == [Mode.RUNNING, Mode.RUNNING, Mode.BRAKE, Mode.STAND] and len(attempts) == 3
    truth = robot.ground_truth()
    np.testing.assert_allclose(attempts[-1], truth.body_pos_w[0], atol=0.02)
    run(loop, 100)
    assert loop.fault is None and not fall_of(robot)


def test_a_robot_that_tips_over_on_plans_is_damped(rig):
    def thrown(states, actions, *levels):
        clean = frozen(states, actions, *levels)
        clean[1][..., 3::29] = 6.0  # a knee far out
        return clean

    robot, machine, loop = rig(denoise=thrown)
    machine.guide()
    run(loop, 150)
    assert machine.mode is Mode.DAMPING and loop.fault.name == "tilted" and not machine.is_guided


def test_guidance_is_refused_while_damping(rig):
    robot, machine, loop = rig()
    machine.damp()
    with pytest.raises(RobotError, match="refused in damping"):
        machine.guide()
