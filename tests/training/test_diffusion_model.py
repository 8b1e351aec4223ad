"""The denoising transformer, its loss and its sampler against the NumPy reference."""

import dataclasses
import io
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from diffusion_data import rollouts, tiny_model, tiny_spec, windows  # noqa: E402

from bm_core.diffusion.attention import ActionContext  # noqa: E402
from bm_core.diffusion.requests import cold_request  # noqa: E402
from bm_core.diffusion.sampler import Guidance  # noqa: E402
from bm_training.diffusion.ema import WeightAverage  # noqa: E402
from bm_training.diffusion.model import LARGE, SMALL, ModelConfig, StatesOnly, TokenTransformer  # noqa: E402
from bm_training.diffusion.objective import Objective, ObjectiveConfig  # noqa: E402
from bm_training.diffusion.sampler import NumpyDenoiser, TorchDenoiser, as_tensors, torch_sampler  # noqa: E402
from bm_training.diffusion.windows import Windows  # noqa: E402

torch.set_num_threads(1)
BATCH, TOKENS = 2, 21


def inputs(seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(BATCH, TOKENS, 198, generator=generator, dtype=dtype)
    actions = torch.randn(BATCH, TOKENS, 58, generator=generator, dtype=dtype)
    levels = [torch.randint(21, (BATCH, TOKENS), generator=generator) for _ in range(2)]
    return states, actions, *levels


@pytest.mark.parametrize("config, millions", [(LARGE, 19.6), (SMALL, 5.0)])
def test_models_have_the_size_of_the_design(config, millions):
    assert TokenTransformer(config, tiny_spec()).num_parameters / 1e6 == pytest.approx(millions, abs=0.3)


def test_states_alone_give_the_same_states():
    model, (states, actions, state_levels, action_levels) = tiny_model(), inputs()
    together, _ = model(states, actions, state_levels, action_levels)
    alone = model.forward_states(states, state_levels)
    assert (together - alone).abs().max() < 1e-5
    assert together.abs().max() > 0.1


def one_layer(context=ActionContext.PAST):
    """Of several layers, actions see later states through earlier ones, which see all: one layer shows the mask."""
    torch.manual_seed(0)
    spec = dataclasses.replace(tiny_spec(), action_context=context.value)
    return TokenTransformer(ModelConfig(width=64, heads=2, depth=1, dropout=0.0), spec).eval().requires_grad_(False)


def changed_tokens(model, moved):
    """Which states and which actions answer differently when token 10 of input `moved` (0 states, 1 actions) moves."""
    arguments = list(inputs())
    before = model(*arguments)
    arguments[moved] = arguments[moved].clone()
    arguments[moved][:, 10] += 1.0
    after = model(*arguments)
    return [((one - other).abs().amax(dim=(0, 2)) > 1e-6).tolist() for one, other in zip(before, after, strict=True)]


def test_actions_see_the_past_and_states_see_all_states_but_no_action():
    later = [False] * 10 + [True] * 11
    assert changed_tokens(one_layer(), moved=0) == [[True] * 21, later]
    assert changed_tokens(one_layer(), moved=1) == [[False] * 21, later]
    assert changed_tokens(tiny_model(), moved=1) == [[False] * 21, later]


def test_actions_that_see_the_whole_plan_are_an_option():
    assert changed_tokens(one_layer(ActionContext.ALL), moved=0) == [[True] * 21, [True] * 21]


def test_noise_levels_are_seen_by_token():
    model, (states, actions, state_levels, action_levels) = tiny_model(), inputs()
    before = model(states, actions, state_levels, action_levels)
    other = action_levels.clone()
    other[:, 20] = (other[:, 20] + 7) % 21
    after = model(states, actions, state_levels, other)
    changed = (after[1] - before[1]).abs().amax(dim=(0, 2)) > 1e-6
    assert changed.tolist() == [False] * 20 + [True]


def request(dtype=np.float64):
    batch = windows().take(torch.tensor([3, 20]))
    states, actions = batch.states.numpy().astype(dtype), batch.actions.numpy().astype(dtype)
    return cold_request(tiny_spec().layout, states[:, :5], actions[:, :4], 20)


def pull_forward(states):
    gradient = states * 0.0
    gradient[..., 93] = states[..., 93] - 0.5
    return gradient


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-5), (torch.float32, 1e-4)])
@pytest.mark.parametrize("action_passes, guidance", [(0, None), (2, Guidance(gradient=pull_forward))])
def test_torch_loop_equals_the_numpy_reference(dtype, tolerance, action_passes, guidance):
    spec = dataclasses.replace(
        tiny_spec(), sampler=dataclasses.replace(tiny_spec().sampler, passes=20, action_passes=action_passes)
    )
    model = tiny_model().to(dtype)
    reference, mine = spec.reference_sampler(), torch_sampler(spec, "cpu", dtype)
    noise = reference.draw_noise(np.random.default_rng(0), 2, TOKENS)
    expected = reference.sample(NumpyDenoiser(model), request(), noise, guidance)
    found = mine.sample(
        TorchDenoiser(model), as_tensors(request(), "cpu", dtype), as_tensors(noise, "cpu", dtype), guidance
    )
    for one, other, codec in zip(found, expected, (spec.state_codec, spec.action_codec), strict=True):
        assert one.dtype == dtype
        assert np.abs((one.numpy() - other) / codec.scale).max() < tolerance
    assert np.abs(expected[1][:, 4:]).max() > 0.01


def test_both_graphs_run_in_onnxruntime_with_equal_results():
    onnxruntime = pytest.importorskip("onnxruntime")
    model, example = tiny_model(), inputs()
    names = ["states", "actions", "state_levels", "action_levels"]
    whole = (model, example, names, ["clean_states", "clean_actions"])
    states_only = (StatesOnly(model), (example[0], example[2]), ["states", "state_levels"], ["clean_states"])
    for module, arguments, given, answers in (whole, states_only):
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(),
                arguments,
                buffer,
                opset_version=17,
                input_names=given,
                output_names=answers,
                dynamic_axes={name: {0: "batch"} for name in (*given, *answers)},
                dynamo=False,
            )
        session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
        # Three plans, though it was exported with two: the batch is free.
        more = [torch.cat([value, value[:1]]) for value in arguments]
        expected = module(*more)
        found = session.run(None, {name: value.numpy() for name, value in zip(given, more, strict=True)})
        for one, other in zip(found, expected if isinstance(expected, tuple) else (expected,), strict=True):
            assert np.abs(one - other.numpy()).max() < 1e-4


def objective(**config):
    return Objective(tiny_spec(), ObjectiveConfig(**config), "cpu")


def test_unsupervised_actions_do_not_count_and_supervised_ones_do():
    batch, spec = windows().take(torch.arange(4)), tiny_spec()

    def loss(wrong_token):
        def model(states, actions, state_levels, action_levels):
            answer = spec.action_codec.encode(batch.actions.numpy())
            answer[:, wrong_token] += 1.0
            return states, torch.as_tensor(answer, dtype=torch.float32)

        return objective()(model, batch, torch.Generator().manual_seed(0)).actions

    assert len(loss(12)) == 12 and float(loss(12).sum()) < 1e-9
    assert float(loss(11)[11]) == pytest.approx(1.0, abs=1e-4)


def test_clean_tokens_are_not_asked_for():
    batch = windows().take(torch.arange(8))

    def zero(states, actions, state_levels, action_levels):
        return 0.0 * states, 0.0 * actions

    config = ObjectiveConfig(clean_history=1.0, committed=0.0)
    terms = objective()(zero, batch, torch.Generator().manual_seed(0), config)
    assert float(terms.states[:5].abs().max()) == 0.0 == float(terms.actions[:4].abs().max())
    assert float(terms.states[5:].min()) > 0.01 and float(terms.actions[4:].min()) > 0.01


def levels(count=4000, seed=0, **config):
    config = ObjectiveConfig(**config)
    return objective().draw_levels(count, torch.Generator().manual_seed(seed), config)


def test_history_is_clean_in_about_the_share_that_is_asked_for():
    drawn = levels(clean_history=0.5, committed=0.0)
    states, actions = drawn.states, drawn.actions
    clean = (states[:, :5] == 0).all(1)
    assert float(clean.float().mean()) == pytest.approx(0.5, abs=0.03)
    assert torch.equal(clean, (actions[:, :4] == 0).all(1))
    assert not drawn.is_committed.any()
    for future in (states[:, 5:], actions[:, 4:]):
        counts = torch.bincount(future.reshape(-1), minlength=21) / future.numel()
        assert len(counts) == 21 and float((counts - 1 / 21).abs().max()) < 0.01
    # Independent per token, also between states and actions, in the windows that share no level.
    drawn = levels(shared_levels=0.0, committed=0.0)
    pair = torch.stack([drawn.states[:, 5:].reshape(-1), drawn.actions[:, 5:].reshape(-1)]).float()
    assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.02


def test_future_tokens_share_a_level_in_the_share_of_windows_that_is_asked_for():
    drawn = levels(shared_levels=0.4, committed=0.0)
    states, actions = drawn.states, drawn.actions
    shared = (states[:, 5:] == states[:, 5:6]).all(1)
    assert float(shared.float().mean()) == pytest.approx(0.4, abs=0.03)
    assert torch.equal(shared, (actions[:, 4:] == actions[:, 4:5]).all(1))
    together = states[shared, -1] == actions[shared, -1]
    assert float(together.float().mean()) == pytest.approx(0.5 + 0.5 / 21, abs=0.04)
    # The history's levels stay its own.
    assert float((states[shared, 0] == states[shared, -1]).float().mean()) < 0.1


def test_committed_actions_are_given_behind_a_clean_history_in_the_share_that_is_asked_for():
    drawn = levels(clean_history=0.5, committed=0.4, most_committed=3)
    clean, count = (drawn.states[:, :5] == 0).all(1), drawn.is_committed.sum(1)
    assert float((count[clean] > 0).float().mean()) == pytest.approx(0.4, abs=0.04)
    assert int(count[~clean].max()) == 0
    shares = torch.bincount(count[count > 0], minlength=4).float() / int((count > 0).sum())
    assert len(shares) == 4 and float((shares[1:] - 1 / 3).abs().max()) < 0.06
    # The first of the future, without a gap, and nothing else.
    first = torch.arange(21) - 4
    assert torch.equal(drawn.is_committed, (first >= 0) & (first < count[:, None]))
    assert int(drawn.actions[drawn.is_committed].max()) == 0
    # What follows is as noisy as ever; the states are not given.
    assert float((drawn.states[count > 0][:, 5:] == 0).float().mean()) == pytest.approx(1 / 21, abs=0.015)


def test_past_actions_are_forgotten_in_the_share_of_clean_histories_that_is_asked_for():
    drawn = levels(clean_history=0.5, forgotten=0.3)
    clean = (drawn.states[:, :5] == 0).all(1)
    noise = (drawn.actions[:, :4] == 20).all(1)
    assert float(noise[clean].float().mean()) == pytest.approx(0.3, abs=0.04)
    assert torch.equal(clean & ~noise, (drawn.actions[:, :4] == 0).all(1))
    assert not levels(clean_history=1.0).actions[:, :4].any()


def test_committed_actions_are_those_that_the_robot_ran():
    """At the mean of what the model gets: the applied action, exactly; behind them the noisy label."""
    data, spec = rollouts(), tiny_spec()
    data.action_label[:] = data.action_applied + 1.0
    batch = Windows(data, np.arange(4), spec.layout, spec.representation, "cpu").take(torch.arange(8))
    seen = {}

    def model(states, actions, state_levels, action_levels):
        seen.update(actions=actions, levels=action_levels)
        return states, actions

    config = ObjectiveConfig(clean_history=1.0, committed=1.0, most_committed=2)
    terms = Objective(spec, config, "cpu")(model, batch, torch.Generator().manual_seed(0))
    applied, labels = (torch.as_tensor(spec.action_codec.encode(v.numpy())) for v in (batch.applied, batch.actions))
    assert torch.allclose(seen["actions"][:, :5].double(), applied[:, :5], atol=1e-5)
    assert float((applied[:, 4] - labels[:, 4]).abs().min()) > 0.1
    two = seen["levels"][:, 5] == 0
    assert two.any() and torch.allclose(seen["actions"][two, 5].double(), applied[two, 5], atol=1e-5)
    # Given, not asked for.
    assert float(terms.actions[4]) == 0.0 and float(terms.actions[6]) > 0.0


def test_average_follows_quickly_at_first_and_at_most_by_its_limit():
    model = torch.nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, power=0.75, max_decay=0.9999)
    assert average.decay == 0.0
    with torch.no_grad():
        model.weight.fill_(3.0)
    average.update(model)
    assert float(average.model.weight) == pytest.approx(3.0)
    # 1 - 2^-0.75 by hand.
    assert average.decay == pytest.approx(0.405396, abs=1e-6)
    average.updates = 10**9
    assert average.decay == 0.9999


def test_rollouts_are_the_same_for_a_seed_and_others_for_another():
    assert np.array_equal(rollouts(seed=0).action_applied, rollouts(seed=0).action_applied)
    assert not np.array_equal(rollouts(seed=0).action_applied, rollouts(seed=1).action_applied)
