"""From what environments do to failures F and entries N per bin (50 fps, 1 s bins)."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.multiprocessing.spawn import spawn

from bm_training.sampling import AdaptiveSampler, AdaptiveSamplerConfig, Attribution, EpisodeCounter

DECAY = 0.5 ** (1 / 50)  # of one iteration


def make(lengths, num_envs, seed=0, **config):
    generator = torch.Generator().manual_seed(seed)
    sampler = AdaptiveSampler(AdaptiveSamplerConfig(**config), lengths, [1.0] * len(lengths), 50.0, generator)
    return sampler, EpisodeCounter(sampler, num_envs)


def ids(*values):
    return torch.tensor(values)


def mask(*values):
    return torch.tensor(values, dtype=torch.bool)


def run_to(counter, motion, frames):
    for frame in zip(*frames, strict=True):
        counter.step(motion, torch.tensor(frame))


def test_an_episode_counts_once_in_each_bin_that_it_starts_in_or_enters():
    sampler, counter = make([201], num_envs=1)
    counter.start(ids(0), ids(0), ids(40))
    run_to(counter, ids(0), [range(41, 121)])
    sampler.end_iteration()
    # Frames 40..120: bins 0, 1, 2 of 4.
    assert sampler.entries.tolist() == [1, 1, 1, 0]
    assert sampler.failures.tolist() == [0, 0, 0, 0]


def test_a_failure_counts_where_it_happens():
    sampler, counter = make([201], num_envs=2)
    counter.start(slice(None), ids(0, 0), ids(40, 0))
    run_to(counter, ids(0, 0), [range(41, 61), range(1, 21)])
    counter.fail(mask(True, False))
    sampler.end_iteration()
    assert sampler.failures.tolist() == [0, 1, 0, 0]
    assert sampler.entries.tolist() == [2, 1, 0, 0]


def test_attribution_to_the_start_counts_only_start_bins():
    sampler, counter = make([201], num_envs=2, attribution=Attribution.START)
    counter.start(slice(None), ids(0, 0), ids(40, 0))
    run_to(counter, ids(0, 0), [range(41, 61), range(1, 21)])
    counter.fail(mask(True, False))
    sampler.end_iteration()
    assert sampler.failures.tolist() == [1, 0, 0, 0]
    assert sampler.entries.tolist() == [2, 0, 0, 0]


def test_an_episode_that_is_just_started_anew_was_a_pass():
    sampler, counter = make([101], num_envs=1)
    counter.start(ids(0), ids(0), ids(60))
    counter.start(ids(0), ids(0), ids(0))
    sampler.end_iteration()
    assert sampler.entries.tolist() == [1, 1]
    assert sampler.failures.tolist() == [0, 0]


def test_restarting_under_a_mask_counts_as_starting_those_environments():
    motion, frame = ids(0, 0, 0), ids(10, 60, 120)
    counts = []
    for is_masked in (True, False):
        sampler, counter = make([201], num_envs=3)
        counter.start(slice(None), ids(0, 0, 0), ids(70, 70, 70))
        if is_masked:
            counter.restart(mask(True, False, True), motion, frame)
        else:
            counter.start(ids(0, 2), motion[[0, 2]], frame[[0, 2]])
        counter.fail(mask(True, True, True))
        sampler.end_iteration()
        counts.append((sampler.entries.tolist(), sampler.failures.tolist()))
    # Started in bin 1, all three; then two of them anew, in bins 0 and 2. Each fails where it is.
    assert counts == [([1, 3, 1, 0], [1, 1, 1, 0])] * 2


def test_an_environment_that_restarts_after_its_failure_can_fail_again():
    sampler, counter = make([201], num_envs=2)
    counter.start(slice(None), ids(0, 0), ids(0, 0))
    counter.fail(mask(True, False))
    counter.fail(mask(True, False))  # is over already
    counter.restart(mask(True, False), ids(0, 0), ids(150, 150))
    counter.fail(mask(True, False))
    sampler.end_iteration()
    assert sampler.failures.tolist() == [1, 0, 0, 1]


def test_the_clips_last_frame_is_no_bin_of_its_own():
    sampler, counter = make([101, 101], num_envs=1)
    counter.start(ids(0), ids(0), ids(90))
    run_to(counter, ids(0), [range(91, 102)])  # 100 is the last frame; 101 does not exist
    counter.fail(mask(True))
    sampler.end_iteration()
    assert sampler.entries.tolist() == [0, 1, 0, 0]
    assert sampler.failures.tolist() == [0, 1, 0, 0]


def test_several_resets_and_failures_in_one_step_and_one_bin_all_count():
    # The reference code assigns the histogram of the second call over the first.
    sampler, counter = make([101], num_envs=4)
    counter.start(ids(0, 1), ids(0, 0), ids(0, 3))
    counter.start(ids(2, 3), ids(0, 0), ids(7, 7))
    counter.fail(mask(True, True, False, False))
    counter.fail(mask(False, False, True, False))
    sampler.end_iteration()
    assert sampler.entries.tolist() == [4, 0]
    assert sampler.failures.tolist() == [3, 0]


def test_a_failed_environment_counts_neither_twice_nor_further_until_it_starts_again():
    sampler, counter = make([101], num_envs=1)
    counter.start(ids(0), ids(0), ids(48))
    counter.fail(mask(True))
    counter.fail(mask(True))
    run_to(counter, ids(0), [range(49, 60)])
    sampler.end_iteration()
    assert (sampler.failures.tolist(), sampler.entries.tolist()) == ([1, 0], [1, 0])
    counter.start(ids(0), ids(0), ids(60))
    counter.fail(mask(True))
    sampler.end_iteration()
    assert sampler.failures.tolist() == pytest.approx([DECAY, 1.0])


def test_before_its_first_start_an_environment_counts_for_nothing():
    sampler, counter = make([101], num_envs=1)
    counter.step(ids(0), ids(60))
    counter.fail(mask(True))
    sampler.end_iteration()
    assert (sampler.failures.sum(), sampler.entries.sum()) == (0, 0)


def test_a_failure_in_a_later_iteration_weighs_what_its_entry_weighs_by_then():
    sampler, counter = make([101], num_envs=1)
    counter.start(ids(0), ids(0), ids(0))
    sampler.end_iteration()
    sampler.end_iteration()
    counter.fail(mask(True))
    sampler.end_iteration()
    assert sampler.entries.tolist() == pytest.approx([DECAY**2, 0])
    assert sampler.failures.tolist() == pytest.approx([DECAY**2, 0])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), attribution=st.sampled_from(list(Attribution)))
def test_failures_never_exceed_entries_in_any_bin(seed, attribution):
    sampler, counter = make([2, 52, 176], num_envs=16, seed=seed, attribution=attribution, half_life_iterations=2.0)
    lengths, random = torch.tensor([2, 52, 176]), torch.Generator().manual_seed(seed)
    motion, frame = sampler.sample(16)
    counter.start(slice(None), motion, frame)
    for step in range(120):
        failed = torch.rand(16, generator=random) < 0.05
        counter.fail(failed)
        done = (failed | (frame >= lengths[motion] - 1)).nonzero().squeeze(-1)
        motion[done], frame[done] = sampler.sample(len(done))
        counter.start(done, motion[done], frame[done])
        frame = frame + 1
        counter.step(motion, frame)
        if step % 3 == 2:
            sampler.end_iteration()
            assert (sampler.failures <= sampler.entries + 1e-9).all()
            assert (sampler.failure_rate > 0).all() and (sampler.failure_rate < 1).all()


def simulate(num_envs, iterations=120, hazard=(0.002, 0.02, 0.0005, 0.01), seed=3):
    """Two clips of two bins; the chance to fail in a step depends on the bin only."""
    sampler, counter = make([101, 101], num_envs, seed=seed)
    per_step, random = torch.tensor(hazard), torch.Generator().manual_seed(seed + 1)
    motion, frame = sampler.sample(num_envs)
    counter.start(slice(None), motion, frame)
    for _ in range(iterations):
        for _ in range(24):
            failed = torch.rand(num_envs, generator=random) < per_step[sampler.bins.bin_of(motion, frame)]
            counter.fail(failed)
            done = (failed | (frame >= 100)).nonzero().squeeze(-1)
            motion[done], frame[done] = sampler.sample(len(done))
            counter.start(done, motion[done], frame[done])
            frame = frame + 1
            counter.step(motion, frame)
        sampler.end_iteration()
    return sampler


def test_rates_and_probabilities_do_not_depend_on_the_number_of_environments():
    few, many = simulate(num_envs=64), simulate(num_envs=1024)
    # 64 envs: N about 64 * 24 / 50 * 72 / 4 = 550 a bin, so a rate of 0.5 has a standard error of 0.02.
    assert (many.entries / few.entries).tolist() == pytest.approx([16.0] * 4, rel=0.2)
    assert few.failure_rate.tolist() == pytest.approx(many.failure_rate.tolist(), abs=0.08)
    assert few.probabilities.tolist() == pytest.approx(many.probabilities.tolist(), abs=0.04)


def test_hard_bins_and_the_second_before_them_are_sampled_more():
    sampler = simulate(num_envs=256, hazard=(0.0, 0.05, 0.0, 0.0))
    p = sampler.probabilities.tolist()
    # Bin 0 is harmless but leads into bin 1; bins 2 and 3 are harmless altogether.
    assert p[1] > p[0] > 3 * max(p[2], p[3])
    # The floor: 0.1 * 0.25.
    assert min(p) >= 0.025


def _rank_main(rank, folder):
    rendezvous = f"file://{folder}/rendezvous"
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    sampler, counter = make([101], num_envs=2, seed=5)
    # Rank 0: two starts in bin 0, one failure. Rank 1: one start in each bin, both fail.
    counter.start(slice(None), ids(0, 0), ids(0, 0) if rank == 0 else ids(0, 70))
    counter.fail(mask(True, False) if rank == 0 else mask(True, True))
    sampler.end_iteration()
    sampler.load_state_dict(sampler.state_dict())
    result = [sampler.entries.tolist(), sampler.failures.tolist(), sampler.sample(50)[1].tolist()]
    (folder / f"rank{rank}.json").write_text(json.dumps(result))
    torch.distributed.destroy_process_group()


def test_all_ranks_share_the_counts_of_all_and_draw_different_samples_after_a_resume(tmp_path):
    spawn(_rank_main, args=(tmp_path,), nprocs=2)
    zero, one = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert zero[:2] == one[:2] == [[3.0, 1.0], [2.0, 1.0]]
    assert zero[2] != one[2]
