"""Guided tasks in the deployed runtime, with a planner that only repeats the last action: it follows nothing."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytest.importorskip("mujoco")

from tiny_planner import tiny_policy  # noqa: E402

from bm_core.data import shipped  # noqa: E402
from bm_core.diffusion.guidance.goal import GuidanceGoal  # noqa: E402
from bm_core.diffusion.guidance.settings import GuidanceSpec  # noqa: E402
from bm_core.errors import ConfigError  # noqa: E402
from bm_core.locomotion.stop import stand_reference  # noqa: E402
from bm_core.motion import clip_from_qpos  # noqa: E402
from bm_core.reference import MotionReference  # noqa: E402
from bm_sim2real.diffusion_tasks.more_tasks import InBetweenTask, PlannerKilledTask, PlannerLateTask  # noqa: E402
from bm_sim2real.diffusion_tasks.tasks import (  # noqa: E402
    JoystickTask,
    LaneControlTask,
    LaneTask,
    MovingLaneTask,
    VelocityRangeTask,
    WaypointLaneTask,
    WaypointTask,
)
from bm_sim2real.guidance.planar_state import PlanarState  # noqa: E402
from bm_sim2real.guidance.steer import GoalSteerer  # noqa: E402
from bm_sim2real.planning.episode import run_episode  # noqa: E402
from bm_sim2real.planning.evaluation import TASKS, task_maker  # noqa: E402
from bm_sim2real.planning.policy import PilotConfig  # noqa: E402
from bm_sim2real.policies.tracker import TrackerPolicy  # noqa: E402

GUIDED = [name for name in TASKS if name != "walk-perturb"]


@pytest.fixture(scope="module")
def tracker():
    return TrackerPolicy.load(shipped("policies", "g1_tracker.onnx"))


def standing(seconds):
    motion = stand_reference(seconds)
    return MotionReference(clip_from_qpos("stand", motion.root_pos, motion.root_quat, motion.joint_pos, 50.0))


def play(maker, tracker, seed=0, seconds=None):
    pilot = tiny_policy()
    task = maker(seed, pilot.contract)
    task.seconds = seconds or task.seconds
    return run_episode(pilot, tracker, task, seed), task, pilot


def test_who_does_nothing_follows_no_velocity_and_falls_in_the_end(tracker):
    result, _, _ = play(JoystickTask, tracker)
    assert not result.success and result.fell and "pelvis" in result.detail
    assert [segment["follows"] for segment in result.values["segments"]] == [False] * 4
    assert "velocity_error" not in result.values


def test_steering_carries_the_goal_of_the_moment(tracker, monkeypatch):
    monkeypatch.setattr("bm_sim2real.diffusion_tasks.tasks.SEGMENT_S", 0.5)
    said = []

    class Listening(JoystickTask):
        def drive(self, time, state, machine):
            super().drive(time, state, machine)
            said.append((time, self.goal.velocity))

    result, _, _ = play(Listening, tracker, seconds=1.2)
    assert result.detail == "not followed: forward, backward, turn left, turn right"
    changes = {velocity: time for time, velocity in reversed(said)}
    assert changes == {
        (0.6, 0.0, 0.0): 0.0,
        (-0.4, 0.0, 0.0): pytest.approx(0.5),
        (0.0, 0.0, 0.6): pytest.approx(1.0),
    }


def test_a_lane_steers_among_its_pillars_and_the_control_does_not(tracker):
    result, task, pilot = play(LaneTask, tracker, seed=3, seconds=0.5)
    assert not result.success and result.detail == "goal not reached" and result.values["clearance_m"] > 0.5
    assert len(task.goal.obstacles) == 3 and task.goal.velocity == pytest.approx((0.6, 0.0, 0.0), abs=0.05)
    _, blind, _ = play(LaneControlTask, tracker, seed=3, seconds=0.5)
    assert blind.goal.obstacles == () and np.array_equal(blind.lane.centers, task.lane.centers)
    _, moving, _ = play(MovingLaneTask, tracker, seed=3, seconds=0.5)
    assert {abs(obstacle.velocity[1]) for obstacle in moving.goal.obstacles} == {0.3}
    _, waypoint, _ = play(WaypointLaneTask, tracker, seed=3, seconds=0.5)
    assert waypoint.goal.waypoint == (5.0, 0.0) and len(waypoint.goal.obstacles) == 3


def test_a_waypoint_that_is_not_reached_is_followed_by_the_next(tracker, monkeypatch):
    monkeypatch.setattr("bm_sim2real.diffusion_tasks.tasks.TIMEOUT_S", 0.3)
    result, task, _ = play(WaypointTask, tracker)
    assert result.values["reached"] == 0 and task.starts == pytest.approx([0.0, 0.3, 0.6, 0.9], abs=0.021)
    assert result.seconds == pytest.approx(1.2, abs=0.03)


def test_keyframes_of_a_walk_are_tokens_ahead(tracker):
    result, task, pilot = play(InBetweenTask, tracker, seconds=1.5)  # the tracker sets out for the first 1.1 s
    assert not result.success or result.values["root_error_m"] < 0.3
    present = pilot.plan.present
    tokens = pilot.steering.keyframes(present, pilot.plan.time)
    # Every fifth token of the 16 ahead.
    assert len(tokens) in (3, 4) and set(np.diff(sorted(tokens))) == {5}
    # Guesses: the planner here knows only the present, and its plan says so.
    assert all(np.abs(pilot.plan.states[index] - state).max() > 0.05 for index, state in tokens.items())
    # The task's time 0 is 1 s after the readings', by which plans are stamped.
    begun = task.goal.keyframes.times[0]
    assert begun == 0.0 and pilot.steering.goal.keyframes.times[0] == pytest.approx(1.0, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("maker", [PlannerKilledTask, PlannerLateTask])
def test_without_plans_the_robot_brakes_and_stands(tracker, monkeypatch, maker):
    monkeypatch.setattr(PlannerKilledTask, "WALK_S", 0.3)
    monkeypatch.setattr(PlannerKilledTask, "AFTER_S", 4.0)
    monkeypatch.setattr(PlannerKilledTask, "SPREAD_S", 0.0)
    # This planner holds a pose: it can take over a robot that stands, not one that walks.
    monkeypatch.setattr("bm_sim2real.planning.machine.plan_start", lambda velocity, seconds: standing(seconds))
    result, task, pilot = play(maker, tracker)
    assert result.success and not result.fell and result.plan_losses == 1


def test_points_of_the_range_are_a_fixed_list():
    contract = tiny_policy().contract
    assert VelocityRangeTask(7, contract).command == VelocityRangeTask(7, contract).command
    assert len({VelocityRangeTask(seed, contract).command for seed in range(20)}) == 20


@pytest.mark.parametrize("name", GUIDED)
def test_every_task_is_found_by_its_name_and_fixed_by_its_seed(name):
    contract = tiny_policy().contract
    first, second = task_maker(name)(5, contract), task_maker(name)(5, contract)
    assert first.seconds == second.seconds
    if hasattr(first, "lane"):
        assert np.array_equal(first.lane.centers, second.lane.centers)
    if hasattr(first, "places"):
        assert first.places == second.places


def test_an_unknown_task_is_refused_by_name():
    with pytest.raises(ConfigError, match="joystick"):
        task_maker("juggle")


def test_settings_of_the_contract_reach_the_planner(tracker):
    pilot = tiny_policy()
    guidance = dataclasses.replace(pilot.contract.guidance, scale=7.0)
    task = JoystickTask(0, dataclasses.replace(pilot.contract, guidance=guidance))
    task.seconds = 0.1
    run_episode(pilot, tracker, task, 0)
    assert pilot.steering.settings.scale == 7.0


def test_commands_are_approached_from_what_the_robot_does():
    steerer = GoalSteerer(tiny_policy().contract.spec, GuidanceSpec(slew=1.5, turn_slew=3.0))

    def told(goal, velocity=(0.3, 0.0, 0.0)):
        state = PlanarState(time=0.0, pos_xy=np.zeros(2), yaw=0.0, velocity=np.array(velocity))
        return steerer.step(goal, state, 0.02).goal.velocity

    assert told(GuidanceGoal(velocity=(-0.4, 0.0, 0.6))) == pytest.approx((0.27, 0.0, 0.06))
    assert told(GuidanceGoal(velocity=(-0.4, 0.0, 0.6)), (0.0, 0.0, 0.0)) == pytest.approx((0.24, 0.0, 0.12))
    assert told(GuidanceGoal(velocity=(0.25, 0.0, 0.12))) == pytest.approx((0.25, 0.0, 0.12))
    assert told(GuidanceGoal(waypoint=(1.0, 0.0))) is None
    assert told(GuidanceGoal(velocity=(0.6, 0.0, 0.0)), (0.5, 0.0, 0.0)) == pytest.approx((0.53, 0.0, 0.0))


def test_settings_given_by_hand_take_the_place_of_the_contracts():
    given = tiny_policy().contract
    assert PilotConfig().contract(given) is given
    assert PilotConfig(guidance=GuidanceSpec(scale=7.0)).contract(given).guidance.scale == 7.0
