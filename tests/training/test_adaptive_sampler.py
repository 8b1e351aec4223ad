"""Adaptive sampler: hand-computed numbers (50 fps, 1 s bins), properties of the formulas, modes, resume."""

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bm_core.errors import ConfigError
from bm_training.sampling import AdaptiveSampler, AdaptiveSamplerConfig, SamplingMode

# Around every border: bins of 1 step (52, 102 frames), clips shorter than a bin (2, 30), full bins (51, 101).
LENGTHS = st.lists(st.sampled_from([2, 3, 30, 50, 51, 52, 101, 102, 176, 201]), min_size=1, max_size=6)
FAST = settings(max_examples=60, deadline=None, derandomize=True)


def sampler_of(lengths, weights=None, seed=0, names=None, **config):
    generator = torch.Generator().manual_seed(seed)
    weights = [1.0] * len(lengths) if weights is None else weights
    return AdaptiveSampler(AdaptiveSamplerConfig(**config), lengths, weights, 50.0, generator, names)


def record(sampler, entries, failures):
    index = torch.arange(sampler.bins.num_bins)
    sampler.add_entries(index, torch.tensor(entries, dtype=torch.float64))
    sampler.add_failures(index, torch.tensor(failures, dtype=torch.float64))
    sampler.end_iteration()


@pytest.fixture
def two_motions():
    """101 frames = 100 steps = bins of 50, 50; 76 frames = 75 steps = bins of 50, 25."""
    sampler = sampler_of([101, 76], weights=[1.0, 2.0], names=["walk", "kick"])
    record(sampler, entries=[4, 3, 6, 0], failures=[0, 1, 3, 0])
    return sampler


def approx(values):
    return pytest.approx(values, abs=1e-6)


# -- hand-computed numbers


def test_base_probabilities_are_weight_times_duration():
    # 1 * (50, 50), 2 * (50, 25) = 50, 50, 100, 50 of 250.
    assert sampler_of([101, 76], weights=[1.0, 2.0]).base_probabilities.tolist() == approx([0.2, 0.2, 0.4, 0.2])


def test_failure_rate_is_failures_over_entries_with_half_a_failure_in_one_episode_as_prior(two_motions):
    # 0.5/5, 1.5/4, 3.5/7, 0.5/1
    assert two_motions.failure_rate.tolist() == approx([0.1, 0.375, 0.5, 0.5])


def test_probabilities_of_the_hand_computed_example(two_motions):
    # kernel, 0.8^u, renormalised over the 2 bins of each clip: (0.1 + 0.8 * 0.375)/1.8 = 0.222222, 0.375, 0.5, 0.5
    # x q: 0.044444, 0.075, 0.2, 0.1; sum 0.419444 -> p = 0.105960, 0.178808, 0.476821, 0.238411
    # 0.1 q + 0.9 p:
    assert two_motions.probabilities.tolist() == approx([0.115364, 0.180927, 0.469139, 0.234570])


def test_kernel_looks_ahead_over_three_bins():
    # 4 bins, failure rates 0.5/1 everywhere but the last: (9 + 0.5)/(9 + 1) = 0.95
    sampler = sampler_of([201], uniform_ratio=0.0)
    record(sampler, entries=[0, 0, 0, 9], failures=[0, 0, 0, 9])
    # bin 0 sees bins 0..2: 0.5; bin 1: (0.5 + 0.4 + 0.64 * 0.95)/2.44 = 0.618033; bin 2: (0.5 + 0.8 * 0.95)/1.8 = 0.7
    # bin 3: 0.95; sum 2.768033
    assert sampler.probabilities.tolist() == approx([0.180634, 0.223275, 0.252887, 0.343204])


def test_kernel_of_one_bin_takes_the_rates_themselves():
    sampler = sampler_of([101], kernel_size=1, uniform_ratio=0.0)
    record(sampler, entries=[4, 3], failures=[0, 1])
    # 0.1, 0.375 of 0.475
    assert sampler.probabilities.tolist() == approx([0.210526, 0.789474])


def test_counts_halve_after_fifty_iterations():
    sampler = sampler_of([101])
    record(sampler, entries=[8, 4], failures=[2, 0])
    for _ in range(50):
        sampler.end_iteration()
    assert sampler.entries.tolist() == approx([4.0, 2.0])
    assert sampler.failures.tolist() == approx([1.0, 0.0])


def test_metrics_of_the_hand_computed_example(two_motions):
    # -sum p ln p = 0.249148 + 0.309324 + 0.355071 + 0.340127 = 1.253670; / ln 4 = 0.904332
    # mean rate: 0.2 * 0.1 + 0.2 * 0.375 + 0.4 * 0.5 + 0.2 * 0.5 = 0.395
    assert two_motions.metrics() == {
        "entropy": approx(0.904332),
        "top1_probability": approx(0.469139),
        "top1_motion": 1.0,
        "top1_time_s": 0.0,
        "mean_failure_rate": approx(0.395),
    }


def test_top_bin_is_named_by_motion_and_time():
    sampler = sampler_of([101, 201], names=["walk", "kick"])
    record(sampler, entries=[9] * 6, failures=[0, 0, 0, 0, 9, 0])
    # 0.95 in bin 2 of kick; its predecessors see it at 0.8 and 0.64 only
    motion, time_s, probability = sampler.top_bin()
    assert (motion, time_s) == ("kick", 2.0)
    assert probability == approx(sampler.probabilities.max().item())


def test_failure_rate_of_a_motion_weighs_its_bins_by_duration(two_motions):
    # walk (50 * 0.1 + 50 * 0.375)/100; kick (50 * 0.5 + 25 * 0.5)/75
    assert two_motions.motion_failure_rates() == {"walk": approx(0.2375), "kick": approx(0.5)}


# -- geometry of the bins


@pytest.mark.parametrize(
    ("frames", "steps"),
    [(2, [1]), (30, [29]), (51, [50]), (52, [50, 1]), (101, [50, 50]), (102, [50, 50, 1])],
)
def test_a_clip_of_t_frames_has_bins_for_t_minus_one_steps(frames, steps):
    assert sampler_of([frames]).bins.steps.tolist() == steps


@FAST
@given(lengths=LENGTHS)
def test_every_start_frame_of_every_clip_lies_in_the_bin_that_covers_it(lengths):
    bins = sampler_of(lengths).bins
    motion = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    frame = torch.cat([torch.arange(length) for length in lengths])
    index = bins.bin_of(motion, frame)
    assert torch.equal(bins.motion[index], motion)
    offset = frame - bins.first_frame[index]
    is_last = frame == torch.tensor(lengths)[motion] - 1  # judged with the last step, never started from
    assert ((offset >= 0) & (offset < bins.steps[index]) | is_last).all()
    assert torch.equal(torch.bincount(index[~is_last], minlength=bins.num_bins), bins.steps)


def test_a_frame_past_the_end_belongs_to_the_last_bin_of_its_own_clip():
    bins = sampler_of([52, 101]).bins
    assert bins.bin_of(torch.tensor([0, 0, 0, 1]), torch.tensor([50, 51, 999, 999])).tolist() == [1, 1, 1, 3]


# -- properties of the probabilities


@FAST
@given(data=st.data(), lengths=LENGTHS, ratio=st.sampled_from([0.0, 0.1, 0.5, 1.0]), size=st.integers(1, 5))
def test_probabilities_sum_to_one_and_keep_the_exact_floor(data, lengths, ratio, size):
    weights = data.draw(st.lists(st.floats(0.1, 10.0), min_size=len(lengths), max_size=len(lengths)))
    sampler = sampler_of(lengths, weights, uniform_ratio=ratio, kernel_size=size)
    entries = data.draw(st.lists(st.integers(0, 10**6), min_size=sampler.bins.num_bins, max_size=sampler.bins.num_bins))
    failures = [data.draw(st.integers(0, n)) for n in entries]
    record(sampler, entries, failures)
    p, q = sampler.probabilities, sampler.base_probabilities
    assert p.sum().item() == pytest.approx(1.0, abs=1e-12)
    assert (p >= ratio * q).all()
    # Exact, not only a bound: what is above the floor is the adaptive share.
    assert (p - ratio * q).sum().item() == pytest.approx(1.0 - ratio, abs=1e-12)


@FAST
@given(lengths=st.lists(st.sampled_from([30, 52, 101, 201]), min_size=2, max_size=5), size=st.integers(1, 5))
def test_failures_at_the_start_of_a_clip_do_not_touch_the_bins_of_the_clip_before(lengths, size):
    calm, hit = (sampler_of(lengths, kernel_size=size, uniform_ratio=0.0) for _ in range(2))
    first = int(hit.bins.motion_first_bin[1])
    failures = [0.0] * hit.bins.num_bins
    record(calm, [50.0] * hit.bins.num_bins, failures)
    failures[first] = 50.0
    record(hit, [50.0] * hit.bins.num_bins, failures)
    # Normalisation scales all other bins alike; a leak would change one bin more than another.
    others = torch.arange(hit.bins.num_bins) != first
    scale = hit.probabilities[others] / calm.probabilities[others]
    torch.testing.assert_close(scale, scale[:1].expand_as(scale), rtol=1e-12, atol=0.0)
    assert hit.probabilities[first] > calm.probabilities[first]


@FAST
@given(lengths=LENGTHS)
def test_equal_rates_leave_weight_times_duration(lengths):
    sampler = sampler_of(lengths)
    record(sampler, [20] * sampler.bins.num_bins, [5] * sampler.bins.num_bins)
    torch.testing.assert_close(sampler.probabilities, sampler.base_probabilities)


def test_adding_clips_of_the_same_difficulty_keeps_the_ratio_of_hard_to_easy_bins():
    def ratio(copies):
        sampler = sampler_of([101] * copies, kernel_size=1)
        record(sampler, [99, 99] * copies, [9, 49] * copies)
        return (sampler.probabilities[1] / sampler.probabilities[0]).item()

    # p' = q (0.1 + 0.9 r / mean r); r = 0.095, 0.495, mean 0.295:
    # (0.1 * 0.295 + 0.9 * 0.495)/(0.1 * 0.295 + 0.9 * 0.095) = 0.475/0.115
    assert ratio(1) == approx(4.130435)
    assert ratio(40) == approx(4.130435)


# -- drawing


@FAST
@given(lengths=LENGTHS, mode=st.sampled_from(list(SamplingMode)))
def test_samples_leave_at_least_one_step_in_the_clip(lengths, mode):
    motion, frame = sampler_of(lengths, mode=mode).sample(500)
    assert (frame >= 0).all()
    assert (frame <= torch.tensor(lengths)[motion] - 2).all()


def test_bins_are_drawn_as_often_as_their_probability_says(two_motions):
    num = 200_000
    motion, frame = two_motions.sample(num)
    frequency = torch.bincount(two_motions.bins.bin_of(motion, frame), minlength=4) / num
    # Standard error below sqrt(0.25 / 200000) = 0.0011.
    assert frequency.tolist() == pytest.approx([0.115364, 0.180927, 0.469139, 0.234570], abs=0.005)


def test_frames_are_uniform_inside_a_bin(two_motions):
    motion, frame = two_motions.sample(200_000)
    tail = frame[(motion == 1) & (frame >= 50)]
    share = torch.bincount(tail - 50, minlength=25) / len(tail)
    # 25 start frames, some 47000 draws: standard error sqrt(0.04 * 0.96 / 47000) = 0.0009.
    assert share.tolist() == pytest.approx([0.04] * 25, abs=0.004)


def test_uniform_mode_ignores_failures_but_keeps_counting_them():
    sampler = sampler_of([101], mode=SamplingMode.UNIFORM)
    record(sampler, [9, 9], [0, 9])
    assert sampler.probabilities.tolist() == [0.5, 0.5]
    assert sampler.failures.tolist() == [0.0, 9.0]


def test_start_mode_draws_first_frames_by_motion_weight():
    sampler = sampler_of([101, 501], weights=[3.0, 1.0], mode=SamplingMode.START)
    motion, frame = sampler.sample(20_000)
    assert (frame == 0).all()
    assert (motion == 0).double().mean().item() == pytest.approx(0.75, abs=0.02)


def test_motion_of_weight_zero_is_never_drawn():
    motion, _ = sampler_of([101, 501, 101], weights=[1.0, 0.0, 0.0]).sample(20_000)
    assert (motion == 0).all()


@pytest.mark.parametrize("mode", list(SamplingMode))
def test_override_decides_alone_until_it_is_lifted(mode):
    sampler = sampler_of([101, 76], mode=mode)
    before = sampler.probabilities.clone()
    sampler.override([0.0, 0.0, 1.0, 3.0])
    record(sampler, [9, 9, 9, 9], [9, 0, 0, 0])
    assert sampler.probabilities.tolist() == [0.0, 0.0, 0.25, 0.75]
    motion, frame = sampler.sample(4000)
    assert (motion == 1).all()
    assert frame.unique().tolist() == list(range(75))
    sampler.override(None)
    assert sampler.probabilities.sum().item() == approx(1.0)
    if mode is not SamplingMode.ADAPTIVE:
        assert torch.equal(sampler.probabilities, before)


def test_a_single_bin_has_entropy_one_and_no_nan():
    sampler = sampler_of([30])
    record(sampler, [9], [9])
    assert sampler.metrics()["entropy"] == 1.0
    assert sampler.probabilities.tolist() == [1.0]


# -- resume


def busy_sampler(seed):
    sampler = sampler_of([101, 76, 30], seed=seed)
    sampler.sample(10)
    record(sampler, [4, 3, 6, 0, 2], [0, 1, 3, 0, 2])
    sampler.add_entries(torch.tensor([1, 1]), torch.ones(2, dtype=torch.float64))  # in mid-iteration
    return sampler


def test_resumed_sampler_draws_the_same_samples_for_ever():
    original, resumed = busy_sampler(seed=1), sampler_of([101, 76, 30], seed=99)
    buffer = io.BytesIO()
    torch.save(original.state_dict(), buffer)
    buffer.seek(0)
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    for _ in range(3):
        for ours, theirs in zip(resumed.sample(300), original.sample(300), strict=True):
            assert torch.equal(ours, theirs)
        for sampler in (resumed, original):
            record(sampler, [1] * 5, [1, 0, 0, 1, 0])
        assert torch.equal(resumed.probabilities, original.probabilities)
        assert resumed.iteration == original.iteration


def test_other_seeds_draw_other_samples():
    assert not torch.equal(busy_sampler(seed=1).sample(300)[1], busy_sampler(seed=2).sample(300)[1])


def test_state_dict_is_a_copy_that_later_iterations_leave_alone():
    sampler = busy_sampler(seed=1)
    state = sampler.state_dict()
    before = state["sums"].clone(), state["pending"].clone()
    sampler.add_entries(torch.tensor([0]), torch.ones(1, dtype=torch.float64))
    sampler.end_iteration()
    assert torch.equal(state["sums"], before[0]) and torch.equal(state["pending"], before[1])


def test_override_survives_a_resume():
    original, resumed = sampler_of([101]), sampler_of([101])
    original.override([1.0, 3.0])
    resumed.load_state_dict(original.state_dict())
    assert resumed.probabilities.tolist() == [0.25, 0.75]


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"lengths": [101, 76], "names": ["walk", "spin"]}, "kick|spin"),
        ({"lengths": [101, 77], "names": ["walk", "kick"]}, "kick had 76 frames in the checkpoint, has 77 now"),
        ({"lengths": [101, 76], "names": ["walk", "kick"], "bin_s": 0.5}, "bins of 50 control steps"),
    ],
)
def test_resume_with_other_motions_is_refused_by_name(other, named):
    state = sampler_of([101, 76], names=["walk", "kick"]).state_dict()
    with pytest.raises(ConfigError, match=named):
        sampler_of(**other).load_state_dict(state)


# -- refusals


@pytest.mark.parametrize(
    ("lengths", "weights", "message"),
    [
        ([], [], "M >= 1"),
        ([101, 1], [1, 1], "motion 1 has 1 frame"),
        ([101, 50], [1], r"shape \(1,\): must be \(2,\)"),
        ([101, 50], [1, -1], "not negative"),
        ([101, 50], [1, float("nan")], "finite"),
        ([101, 50], [0, 0], "not all 0"),
    ],
)
def test_impossible_motions_and_weights_are_refused(lengths, weights, message):
    with pytest.raises(ConfigError, match=message):
        sampler_of(lengths, weights)


@pytest.mark.parametrize(
    ("field", "value"),
    [("kernel_size", 0), ("kernel_gamma", 0.0), ("uniform_ratio", 1.1), ("half_life_iterations", 0.0), ("bin_s", 0.0)],
)
def test_impossible_settings_are_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=f"sampler.{field} = {value}"):
        AdaptiveSamplerConfig(**{field: value})


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [1.0, float("inf")], [-1.0, 2.0]])
def test_impossible_overrides_are_refused(weights):
    with pytest.raises(ConfigError, match="bin probabilities"):
        sampler_of([101]).override(weights)
