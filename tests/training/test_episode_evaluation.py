"""Evaluation in Isaac Lab without Isaac Lab: which episodes are played, and what is counted."""

from types import SimpleNamespace

import pytest
import torch

from bm_training.sampling import build_bins
from bm_training.tracking.episode_plan import EpisodePlan, StartQueue, uniform_starts, whole_clips
from bm_training.tracking.episode_tally import EpisodeResults, EpisodeTally, bin_counts
from bm_training.tracking.evaluation import worst_tenth

BINS = build_bins([101, 76], 50)  # walk: bins of 50, 50 steps; kick: 50, 25


def test_uniform_starts_put_equally_many_into_every_bin_at_even_distances():
    plan = uniform_starts(BINS, per_bin=5, max_steps=500)
    assert BINS.bin_of(plan.motion, plan.frame).bincount().tolist() == [5, 5, 5, 5]
    last = plan.frame[(plan.motion == 1) & (plan.frame >= 50)]
    # 25 steps in 5 parts, the middle of each: 50 + 2.5, 7.5, ..
    assert last.tolist() == [52, 57, 62, 67, 72]


def test_whole_clips_start_at_the_first_frame_and_last_as_long_as_the_longest():
    library = SimpleNamespace(num_motions=2, device="cpu", motion_length=torch.tensor([101, 76]))
    plan = whole_clips(library, repeats=2)
    assert (plan.motion.tolist(), plan.frame.tolist(), plan.max_steps) == ([0, 1, 0, 1], [0, 0, 0, 0], 101)


def test_the_queue_hands_out_each_episode_once():
    queue = StartQueue(uniform_starts(BINS, per_bin=1, max_steps=500), num_envs=3)
    motion, frame = queue.draw(torch.tensor([True, True, True]))
    assert (motion.tolist(), frame.tolist(), queue.episode.tolist()) == ([0, 0, 1], [25, 75, 25], [0, 1, 2])
    motion, frame = queue.draw(torch.tensor([False, True, False]))
    assert (motion[1], frame[1]) == (1, 62)
    queue.draw(torch.tensor([True, False, True]))
    assert queue.episode.tolist() == [4, 3, 4]  # 4: none that counts


def results(motion, frame, last, completed):
    number = len(motion)
    plan = EpisodePlan(motion=torch.tensor(motion), frame=torch.tensor(frame), max_steps=500)
    return EpisodeResults(
        plan=plan,
        completed=torch.tensor(completed, dtype=torch.bool),
        last_frame=torch.tensor(last),
        steps=torch.ones(number, dtype=torch.int64),
        error_sums=torch.zeros(number, 7, dtype=torch.float64),
        failure=torch.zeros(number, dtype=torch.int64),
    )


def test_failures_and_entries_of_bins():
    # walk from 10 through to its end; walk from 60, failed at 80; kick from 0, failed at 49, and from 55 to its end
    failures, entries = bin_counts(results([0, 0, 1, 1], [10, 60, 0, 55], [100, 80, 49, 75], [1, 0, 0, 1]), BINS)
    assert failures.tolist() == [0, 1, 1, 0]
    assert entries.tolist() == [1, 2, 1, 1]


def test_the_worst_tenth_is_the_mean_of_the_highest_rates():
    rates = torch.tensor([0.0] * 17 + [0.9, 0.2, 0.5])
    assert worst_tenth(rates) == pytest.approx(0.7)
    assert worst_tenth(torch.tensor([0.3, 0.1])) == pytest.approx(0.3)


class Errors(SimpleNamespace):
    """One target body, error in m on each environment."""

    @classmethod
    def of(cls, errors):
        values = torch.tensor(errors)
        return cls(
            body_pos_sq=values[:, None].square(),
            anchor_pos_sq=values.square(),
            body_lin_vel_sq=values[:, None].square(),
        )


def test_errors_and_endings_go_to_the_episode_that_was_judged_not_to_the_one_that_follows():
    plan = EpisodePlan(motion=torch.tensor([0, 1, 0]), frame=torch.tensor([0, 0, 60]), max_steps=500)
    queue = StartQueue(plan, num_envs=2)
    zeros = torch.zeros(2, 1, 3)
    joints = torch.zeros(2, 29)
    reference = SimpleNamespace(body_pos_w=zeros, joint_pos=joints, joint_vel=joints)
    robot = SimpleNamespace(body_pos=zeros, joint_pos=joints, joint_vel=joints, root=0)
    motion = SimpleNamespace(reference=reference, robot=robot, frame=torch.tensor([1, 1]))
    tally = EpisodeTally(motion, queue)
    queue.draw(torch.tensor([True, True]))

    tally.judge(Errors.of([0.1, 0.3]))
    # Inside the step the second robot fails and begins episode 2.
    queue.draw(torch.tensor([False, True]))
    tally.end_step(tripped=torch.tensor([[False, False], [False, True]]), ended=torch.tensor([False, True]))
    assert not tally.is_complete()
    motion.frame = torch.tensor([2, 61])
    tally.judge(Errors.of([0.2, 0.5]))
    queue.draw(torch.tensor([True, True]))
    tally.end_step(tripped=torch.zeros(2, 2, dtype=torch.bool), ended=torch.tensor([True, True]))
    assert tally.is_complete()
    tally.judge(Errors.of([9.0, 9.0]))  # nobody's episode any more

    outcome = tally.results()
    assert outcome.completed.tolist() == [True, False, True]
    assert outcome.failure.tolist() == [-1, 1, -1]
    assert outcome.last_frame.tolist() == [2, 1, 61]
    assert outcome.steps.tolist() == [2, 1, 1]
    assert outcome.error_sums[:, 0].tolist() == pytest.approx([0.3, 0.3, 0.5])
