"""A planner that dies or slows down, and transitions on made-up tracks."""

import numpy as np
import pytest

from bm_sim2real.diffusion_tasks.track import Track
from bm_sim2real.diffusion_tasks.transitions import TRANSITIONS, judge_transitions
from bm_sim2real.planning.interrupted import InterruptedSource


class Order:
    def __init__(self, step):
        self.step = step


class OneStepLate:
    latency_steps = 1

    def __init__(self):
        self.pending = None

    @property
    def is_busy(self):
        return self.pending is not None

    def reset(self, seed):
        self.pending = None

    def order(self, order):
        self.pending = order.step

    def poll(self, step):
        if self.pending is None or step < self.pending + 1:
            return None
        answer, self.pending = self.pending, None
        return answer

    def close(self):
        self.pending = None


def answers(source, steps):
    """(step, stamp of the plan) of a client that orders whenever it may."""
    found = []
    for step in range(100, 100 + steps):
        plan = source.poll(step)
        if plan is not None:
            found.append((step, plan))
        if not source.is_busy:
            source.order(Order(step))
    return found


def test_a_killed_planner_answers_no_more_and_stays_busy():
    source = InterruptedSource(OneStepLate(), at=4)
    assert answers(source, 50) == [(101, 100), (102, 101), (103, 102)]
    assert source.is_busy


def test_a_late_planner_answers_late_and_a_reset_begins_anew():
    source = InterruptedSource(OneStepLate(), at=2, late_steps=10)
    assert answers(source, 25) == [(101, 100), (112, 101), (123, 112)]
    source.reset(0)
    assert not source.is_busy and answers(source, 2) == [(101, 100)]


def following(delay):
    """Every command of the script, `delay` s late."""
    times = 0.02 * np.arange(round(sum(seconds for _, seconds, _ in TRANSITIONS) / 0.02))
    index = np.clip(((times - delay) // 4.0).astype(int), 0, len(TRANSITIONS) - 1)
    velocity = np.array([command for _, _, command in TRANSITIONS])[index]
    return Track(times=times, pos_xy=np.zeros((len(times), 2)), yaw=np.zeros(len(times)), velocity=velocity)


def test_transitions_settle_when_the_velocity_is_there():
    results = judge_transitions(following(1.0))
    assert all(result.follows for result in results)
    stand_to_walk = next(result for result in results if result.name == "stand -> walk")
    # The mean over 0.8 s is within 30 % once 70 % of it is walking.
    assert stand_to_walk.settle_s == pytest.approx(1.0 - 0.3 * 0.8, abs=0.11)


def test_a_robot_that_keeps_walking_does_not_follow_a_stop():
    track = following(0.0)
    track.velocity[:] = (0.6, 0.0, 0.0)
    results = {result.name: result.follows for result in judge_transitions(track)}
    assert results["stand -> walk"] and not results["walk -> stand"] and not results["walk -> back"]
