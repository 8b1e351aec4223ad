"""Which motion first, when adaptive sampling begins, weights by hand: hand-computed numbers (50 fps, 1 s bins)."""

import pytest
import torch

from bm_core.errors import ConfigError
from bm_training.sampling import AdaptiveSampler, AdaptiveSamplerConfig, MotionChoice, SamplingMode, read_bin_weights
from bm_training.tracking.sampling_options import SamplingOptions


def sampler_of(**config):
    """walk: bins of 50, 50 steps, weight 1; kick: bins of 50, 25, weight 2."""
    generator = torch.Generator().manual_seed(0)
    return AdaptiveSampler(AdaptiveSamplerConfig(**config), [101, 76], [1.0, 2.0], 50.0, generator, ["walk", "kick"])


def record(sampler, entries, failures):
    index = torch.arange(sampler.bins.num_bins)
    sampler.add_entries(index, torch.tensor(entries, dtype=torch.float64))
    sampler.add_failures(index, torch.tensor(failures, dtype=torch.float64))
    sampler.end_iteration()


def approx(values):
    return pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        # 1 * (50, 50), 2 * (50, 25) of 250
        (MotionChoice.TABLE, [0.2, 0.2, 0.4, 0.2]),
        # half each, then 50:50 and 50:25
        (MotionChoice.UNIFORM, [0.25, 0.25, 1 / 3, 1 / 6]),
        # a third and two thirds, durations do not count between motions
        (MotionChoice.WEIGHT, [1 / 6, 1 / 6, 4 / 9, 2 / 9]),
    ],
)
def test_base_probabilities_of_each_choice(choice, expected):
    sampler = sampler_of(motion_choice=choice, mode=SamplingMode.UNIFORM)
    assert sampler.probabilities.tolist() == approx(expected)


def test_a_uniform_choice_of_motions_keeps_each_motions_share_whatever_fails():
    sampler = sampler_of(motion_choice=MotionChoice.UNIFORM, kernel_size=1, uniform_ratio=0.0)
    record(sampler, entries=[9, 9, 9, 9], failures=[0, 9, 9, 9])
    # rates 0.05, 0.95, 0.95, 0.95: walk's half splits 0.05 : 0.95, kick's half by duration
    assert sampler.probabilities.tolist() == approx([0.025, 0.475, 1 / 3, 1 / 6])


def test_the_choice_by_failure_follows_the_mean_rate_of_a_motion():
    sampler = sampler_of(motion_choice=MotionChoice.FAILURE, kernel_size=1, uniform_ratio=0.1)
    record(sampler, entries=[9, 9, 9, 9], failures=[4, 4, 0, 0])
    # mean rates 0.45, 0.05 x weights 1, 2 = 0.45, 0.10 of 0.55; bins alike within a motion; q = 1/6, 1/6, 4/9, 2/9
    share = (0.45 / 0.55, 0.10 / 0.55)
    expected = [0.1 / 6 + 0.9 * share[0] / 2] * 2
    expected += [0.1 * 4 / 9 + 0.9 * share[1] * 2 / 3, 0.1 * 2 / 9 + 0.9 * share[1] / 3]
    assert sampler.probabilities.tolist() == approx(expected)


def test_adaptive_sampling_begins_after_its_iterations():
    sampler = sampler_of(adaptive_after=2, kernel_size=1)
    record(sampler, entries=[9, 9, 9, 9], failures=[9, 0, 0, 0])
    assert sampler.probabilities.tolist() == approx([0.2, 0.2, 0.4, 0.2])
    sampler.end_iteration()
    assert sampler.probabilities[0] > 0.7


def test_a_motion_of_weight_zero_is_never_drawn_and_can_come_in_later():
    sampler = sampler_of()
    sampler.set_motion_weights([1.0, 0.0])
    assert sampler.probabilities.tolist() == approx([0.5, 0.5, 0.0, 0.0])
    assert set(sampler.sample(500)[0].tolist()) == {0}
    sampler.set_motion_weights([1.0, 2.0])
    assert set(sampler.sample(500)[0].tolist()) == {0, 1}


@pytest.mark.parametrize("choice", list(MotionChoice))
def test_motion_weights_survive_a_resume(choice):
    first, second = sampler_of(motion_choice=choice), sampler_of(motion_choice=choice)
    first.set_motion_weights([3.0, 0.5])
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.probabilities, second.probabilities)
    assert torch.equal(torch.stack(first.sample(50)), torch.stack(second.sample(50)))


def test_weights_by_hand_from_a_file(tmp_path):
    file = tmp_path / "bins.yaml"
    file.write_text("kick: [1, 3]\n")
    sampler = sampler_of()
    sampler.override(read_bin_weights(file, sampler.names, sampler.bins))
    assert sampler.probabilities.tolist() == approx([0.0, 0.0, 0.25, 0.75])
    file.write_text("walk: 1\nkick: 2.0\n")
    assert read_bin_weights(file, sampler.names, sampler.bins).tolist() == [1.0, 1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("jump: 1", "no clip 'jump'"),
        ("kick: [1, 2, 3]", "3 weights, but the clip has 2 bins"),
        ("kick: -1", "must be a number >= 0"),
        ("kick: 0", "all weights are 0"),
        ("- kick", "must be lines"),
        ("kick: 1\nkick: 2", "key 'kick' twice"),
    ],
)
def test_faulty_files_are_named(tmp_path, text, culprit):
    file = tmp_path / "bins.yaml"
    file.write_text(text)
    sampler = sampler_of()
    with pytest.raises(ConfigError, match=culprit):
        read_bin_weights(file, sampler.names, sampler.bins)


def test_every_option_reaches_the_sampler():
    options = SamplingOptions(
        sampling="uniform",
        attribution="start",
        motion_choice="failure",
        adaptive_after=7,
        bin_s=0.5,
        kernel_size=5,
        kernel_gamma=0.7,
        uniform_ratio=0.2,
        half_life_iterations=30.0,
    )
    config = options.config()
    assert (config.mode.value, config.attribution.value, config.motion_choice.value) == ("uniform", "start", "failure")
    assert (config.adaptive_after, config.bin_s, config.kernel_size, config.kernel_gamma) == (7, 0.5, 5, 0.7)
    assert (config.uniform_ratio, config.half_life_iterations) == (0.2, 30.0)
    assert SamplingOptions().config() == AdaptiveSamplerConfig()
