"""Noise schedule, masks, denoising loop and the spec that carries them."""

import dataclasses
import json

import numpy as np
import pytest

from bm_core.diffusion.attention import ActionContext, attention_bias
from bm_core.diffusion.emphasis import random_emphasis
from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.mirror import state_mirror
from bm_core.diffusion.normaliser import Normaliser
from bm_core.diffusion.requests import cold_request, warm_request
from bm_core.diffusion.sampler import Guidance
from bm_core.diffusion.schedule import cosine_alpha_bar, level_plan, step_tables
from bm_core.diffusion.spec import DiffusionSpec, EmphasisSpec, NormaliserSpec, SamplerSpec
from bm_core.diffusion.state import StateRepresentation, state_slices
from bm_core.errors import BundleError, ConfigError

# The authors' levels 0..19 = ours 1..20: beyondmimic.md 3.3.
PUBLISHED = [
    0.992, 0.972, 0.941, 0.899, 0.847, 0.787, 0.720, 0.648, 0.572, 0.494,
    0.416, 0.341, 0.269, 0.203, 0.144, 0.094, 0.054, 0.024, 0.006, 0.000,
]  # fmt: skip
BATCH = 3


def make_spec(**sampler) -> DiffusionSpec:
    rng = np.random.default_rng(0)
    layout = TokenLayout()
    states, actions = (
        rng.normal(size=(2000, 99)) * np.linspace(0.1, 2.0, 99),
        rng.normal(size=(2000, layout.action_width)),
    )
    root = state_slices(StateRepresentation.BODY_POS).root
    return DiffusionSpec(
        layout=layout,
        states=NormaliserSpec.of(Normaliser.fit(states)),
        actions=NormaliserSpec.of(Normaliser.fit(actions)),
        emphasis=EmphasisSpec.of(random_emphasis(99, root, 6.0, 0, state_mirror()), seed=0),
        sampler=SamplerSpec(**sampler),
    )


SPEC = make_spec()


def history(seed=1):
    rng = np.random.default_rng(seed)
    return 0.05 * rng.normal(size=(BATCH, 5, 99)), 0.3 * rng.normal(size=(BATCH, 4, 58))


class Oracle:
    """A network that knows the answer; notes how it was asked."""

    def __init__(self, spec, states, actions):
        self.states, self.actions = spec.state_codec.encode(states), spec.action_codec.encode(actions)
        self.calls = []

    def __call__(self, states, actions, state_levels, action_levels):
        self.calls.append((state_levels.copy(), None if action_levels is None else action_levels.copy()))
        return self.states, None if actions is None else self.actions


def gaussian_posterior(states, actions, state_levels, action_levels):
    """The exact denoiser of data that is standard normal in model space: x0 = sqrt(abar) x."""
    alpha_bar = cosine_alpha_bar(20)
    answer = None if actions is None else actions * np.sqrt(alpha_bar[action_levels])[..., None]
    return states * np.sqrt(alpha_bar[state_levels])[..., None], answer


def cold(spec=SPEC):
    return cold_request(spec.layout, *history(), spec.levels)


def test_schedule_is_the_published_one():
    alpha_bar = cosine_alpha_bar(20)
    assert alpha_bar[0] == 1.0
    assert np.abs(alpha_bar[1:] - PUBLISHED).max() < 0.0006


@pytest.mark.parametrize("level", [2, 11, 20])
def test_one_level_down_is_the_ddpm_posterior_of_the_paper(level):
    alpha_bar = cosine_alpha_bar(20)
    tables = step_tables(alpha_bar, eta=1.0)
    before, after = alpha_bar[level], alpha_bar[level - 1]
    alpha = before / after
    assert tables.from_clean[level, level - 1] == pytest.approx(np.sqrt(after) * (1 - alpha) / (1 - before))
    assert tables.from_noisy[level, level - 1] == pytest.approx(np.sqrt(alpha) * (1 - after) / (1 - before))
    assert tables.sigma[level, level - 1] ** 2 == pytest.approx((1 - alpha) * (1 - after) / (1 - before))


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_every_step_keeps_the_forward_marginal(eta):
    alpha_bar = cosine_alpha_bar(20)
    tables = step_tables(alpha_bar, eta)
    for before in range(1, 21):
        for after in range(before + 1):
            mean = tables.from_clean[before, after] + tables.from_noisy[before, after] * np.sqrt(alpha_bar[before])
            variance = (
                tables.from_noisy[before, after] ** 2 * (1 - alpha_bar[before]) + tables.sigma[before, after] ** 2
            )
            assert mean == pytest.approx(np.sqrt(alpha_bar[after]), abs=1e-9)
            assert variance == pytest.approx(1 - alpha_bar[after], abs=1e-9)


def test_the_last_step_is_the_prediction_itself_and_equal_levels_change_nothing():
    tables = step_tables(cosine_alpha_bar(20))
    assert tables.from_clean[1:, 0] == pytest.approx(1.0)
    assert (np.abs(tables.from_noisy[1:, 0]).max(), np.abs(tables.sigma[:, 0]).max()) == pytest.approx((0.0, 0.0))
    assert np.array_equal(np.diag(tables.from_noisy), np.ones(21))
    assert np.array_equal(np.diag(tables.sigma) + np.diag(tables.from_clean), np.zeros(21))


def test_level_plan_goes_evenly_to_zero_for_every_token():
    plan = level_plan(np.array([0, 20, 14]), 20)
    assert plan[:, 1].tolist() == list(range(20, -1, -1))
    assert plan[:, 0].tolist() == [0] * 21
    assert level_plan(np.array([20]), 4)[:, 0].tolist() == [20, 15, 10, 5, 0]
    assert (np.diff(plan, axis=0) <= 0).all() and plan[-1].tolist() == [0, 0, 0]


def test_states_see_all_states_and_never_actions_and_actions_see_the_past():
    sees = attention_bias(21) == 0.0
    assert sees[:21, :21].all() and not sees[:21, 21:].any()
    for i in range(21):
        expected = np.arange(21) <= i
        assert np.array_equal(sees[21 + i, :21], expected)
        assert np.array_equal(sees[21 + i, 21:], expected)
    assert (attention_bias(21, ActionContext.ALL) == 0.0)[21:, :21].all()
    assert np.exp(np.float32(attention_bias(21).min())) == 0.0 == np.exp(np.float16(attention_bias(21).min()))


@pytest.mark.parametrize("eta, passes, action_passes", [(1.0, 20, 0), (0.0, 6, 0), (1.0, 10, 3), (0.0, 1, 1)])
def test_a_perfect_network_is_reproduced_and_the_history_untouched(eta, passes, action_passes):
    spec = make_spec(eta=eta, passes=passes, action_passes=action_passes)
    rng = np.random.default_rng(2)
    states = spec.states.arrays.denormalise(rng.uniform(-0.9, 0.9, size=(BATCH, 21, 99)))
    actions = spec.actions.arrays.denormalise(rng.uniform(-0.9, 0.9, size=(BATCH, 21, 58)))
    oracle, sampler, request = Oracle(spec, states, actions), spec.reference_sampler(), cold(spec)
    found = sampler.sample(oracle, request, sampler.draw_noise(np.random.default_rng(3), BATCH, 21))
    assert np.abs(found[0][:, 5:] - states[:, 5:]).max() < 1e-9
    assert np.abs(found[1][:, 4:] - actions[:, 4:]).max() < 1e-9
    assert np.array_equal(found[0][:, :5], history()[0]) and np.array_equal(found[1][:, :4], history()[1])
    assert len(oracle.calls) == passes + action_passes
    asked_for_actions = [levels is not None for _, levels in oracle.calls]
    assert asked_for_actions == [action_passes == 0] * passes + [True] * action_passes
    assert all((levels[:, :5] == 0).all() for levels, _ in oracle.calls)
    if action_passes:
        assert all((levels == 0).all() for levels, _ in oracle.calls[passes:])


def ddpm_spread(levels):
    """Standard deviation that DDPM leaves of a standard normal, by its recursion: a finite loop narrows it."""
    alpha_bar, variance = cosine_alpha_bar(20), 1.0
    for before, after in zip(levels[:-1], levels[1:], strict=True):
        alpha = alpha_bar[before] / alpha_bar[after]
        clean = np.sqrt(alpha_bar[after]) * (1 - alpha) / (1 - alpha_bar[before])
        noisy = np.sqrt(alpha) * (1 - alpha_bar[after]) / (1 - alpha_bar[before])
        fresh = (1 - alpha) * (1 - alpha_bar[after]) / (1 - alpha_bar[before])
        variance = (clean * np.sqrt(alpha_bar[before]) + noisy) ** 2 * variance + fresh
    return np.sqrt(variance)


@pytest.mark.parametrize("levels", [list(range(20, -1, -1)), [20, 15, 10, 5, 0]])
def test_samples_of_a_gaussian_have_the_spread_of_the_posterior(levels):
    spec = make_spec(passes=len(levels) - 1)
    wide = NormaliserSpec.of(dataclasses.replace(spec.actions.arrays, low=np.full(58, -9.0), high=np.full(58, 9.0)))
    spec = dataclasses.replace(spec, actions=wide)
    sampler = spec.reference_sampler()
    _, actions = sampler.sample(gaussian_posterior, cold(spec), sampler.draw_noise(np.random.default_rng(4), BATCH, 21))
    normalised = wide.arrays.normalise(actions)[:, 4:]
    # 2958 numbers: 1.3 % standard error.
    assert normalised.std() == pytest.approx(ddpm_spread(levels), rel=0.04)
    assert normalised.mean() == pytest.approx(0.0, abs=0.06)


def test_same_seed_same_plan_and_another_seed_another():
    sampler = SPEC.reference_sampler()

    def plan(seed):
        noise = sampler.draw_noise(np.random.default_rng(seed), BATCH, 21)
        return sampler.sample(gaussian_posterior, cold(), noise)[1]

    assert np.array_equal(plan(5), plan(5))
    assert np.abs(plan(5) - plan(6)).max() > 0.1


def test_predictions_are_clamped_to_the_range_of_the_data():
    sampler = SPEC.reference_sampler()

    def wild(states, actions, state_levels, action_levels):
        return 100.0 * np.ones_like(states), -100.0 * np.ones_like(actions)

    states, actions = sampler.sample(wild, cold(), sampler.draw_noise(np.random.default_rng(7), BATCH, 21))
    low, high = SPEC.states.arrays.low, SPEC.states.arrays.high
    normalised = SPEC.states.arrays.normalise(states)[:, 5:]
    assert (normalised >= low - 1e-9).all() and (normalised <= high + 1e-9).all()
    assert np.abs(SPEC.actions.arrays.normalise(actions)[:, 4:] - SPEC.actions.arrays.low).max() < 1e-9


def test_guidance_lowers_its_cost_and_leaves_the_history():
    sampler, velocity = SPEC.reference_sampler(), state_slices(StateRepresentation.BODY_POS).root_lin_vel
    goal = np.array([0.4, -0.2, 0.0])

    def gradient(states):
        answer = np.zeros_like(states)
        answer[..., velocity] = states[..., velocity] - goal
        return answer

    noise = sampler.draw_noise(np.random.default_rng(8), BATCH, 21)
    free, _ = sampler.sample(gaussian_posterior, cold(), noise)
    pulled, _ = sampler.sample(gaussian_posterior, cold(), noise, Guidance(gradient=gradient, scale=1.0))
    error = [np.abs(states[:, 5:, velocity] - goal).mean() for states in (free, pulled)]
    assert error[1] < 0.6 * error[0]
    assert np.array_equal(pulled[:, :5], history()[0])
    off, _ = sampler.sample(gaussian_posterior, cold(), noise, Guidance(gradient=gradient, scale=0.0))
    assert np.abs(off - free).max() < 1e-12


def test_guidance_steps_are_limited_in_length_and_to_their_levels():
    spec = make_spec(passes=1)
    sampler, states = spec.reference_sampler(), np.zeros((BATCH, 21, 99))
    oracle = Oracle(spec, spec.states.arrays.denormalise(states), np.zeros((BATCH, 21, 58)))
    noise = sampler.draw_noise(np.random.default_rng(9), BATCH, 21)

    def moved(**settings):
        guidance = Guidance(gradient=lambda values: 1e3 * np.ones_like(values), **settings)
        found, _ = sampler.sample(oracle, cold(spec), noise, guidance)
        return np.linalg.norm(spec.states.arrays.normalise(found)[:, 5:], axis=-1)

    assert moved(max_step=0.25) == pytest.approx(0.25)
    assert moved(max_level=19) == pytest.approx(0.0)


def test_warm_start_shifts_the_plan_renoises_it_and_keeps_committed_actions():
    rng = np.random.default_rng(10)
    last_states, last_actions = rng.normal(size=(BATCH, 21, 99)), rng.normal(size=(BATCH, 21, 58))
    request = warm_request(
        SPEC.layout, *history(), last_states, last_actions, 20, state_level=14, action_level=11, committed=2
    )
    assert request.state_levels.tolist() == [0] * 5 + [14] * 15 + [20]
    # 8 action tokens are supervised, 7 of them are left after the shift; the rest of the last plan is no guess.
    assert request.action_levels.tolist() == [0] * 6 + [11] * 5 + [20] * 10
    assert np.array_equal(request.states[:, 5:20], last_states[:, 6:])
    assert np.array_equal(request.actions[:, 4:6], last_actions[:, 5:7])
    sampler = SPEC.reference_sampler()
    noise = sampler.draw_noise(np.random.default_rng(11), BATCH, 21)
    assert np.array_equal(sampler.sample(gaussian_posterior, request, noise)[1][:, :6], request.actions[:, :6])
    with pytest.raises(ConfigError, match="history of 4 states"):
        warm_request(SPEC.layout, history()[0][:, :4], history()[1], last_states, last_actions, 20, 14, 11)


def test_a_level_above_the_schedule_is_refused():
    sampler = SPEC.reference_sampler()
    request = cold_request(SPEC.layout, *history(), 21)
    with pytest.raises(ConfigError, match="above 20"):
        sampler.sample(gaussian_posterior, request, sampler.draw_noise(np.random.default_rng(0), BATCH, 21))


def test_spec_survives_json_exactly():
    text = SPEC.to_json()
    again = DiffusionSpec.from_json(text)
    assert again == SPEC and again.to_json() == text
    assert np.array_equal(again.state_codec.project, SPEC.state_codec.project)
    assert len(text) < 400_000


@pytest.mark.parametrize(
    "change, message",
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"levels": "20"}, "an integer expected"),
        ({"state": "body_rot"}, "body_pos and joint_rot are known"),
        ({"schema_version": 2}, "schema_version is 2"),
        ({"body_names": ["pelvis"]}, "14 target bodies"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused(change, message):
    document = {**json.loads(SPEC.to_json()), **change}
    with pytest.raises(BundleError, match=message):
        DiffusionSpec.from_json(json.dumps(document))


def test_a_spec_with_numbers_missing_is_refused():
    document = json.loads(SPEC.to_json())
    document["states"]["scale"].pop()
    with pytest.raises(BundleError, match="states.scale holds 98 numbers, 99 expected"):
        DiffusionSpec.from_json(json.dumps(document))
