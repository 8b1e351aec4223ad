"""A diffusion checkpoint becomes a bundle: torch, NumPy and ONNX make the same plan, or nothing is written."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="export needs torch: run it in .venv-train")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))

from diffusion_data import clip, latent_spec, save_run, tiny_model, tiny_spec  # noqa: E402

from bm_core.bundle import Bundle  # noqa: E402
from bm_core.contract import Training  # noqa: E402
from bm_core.diffusion.bundle import DECODER_KEY, DiffusionBundle  # noqa: E402
from bm_core.diffusion.plan_trace import check_plans, replay, replayed  # noqa: E402
from bm_core.diffusion.portable_noise import portable_noise  # noqa: E402
from bm_core.diffusion.requests import cold_request, warm_request  # noqa: E402
from bm_core.diffusion.sampler import Guidance  # noqa: E402
from bm_core.errors import BundleError, ConfigError  # noqa: E402
from bm_export import diffusion as exporter  # noqa: E402
from bm_export.diffusion import OnnxDenoise, clip_histories, export_diffusion  # noqa: E402
from bm_export.diffusion_checkpoint import load_diffusion  # noqa: E402
from bm_export.diffusion_graph import planner_graph  # noqa: E402
from bm_export.onnx_graph import with_metadata  # noqa: E402
from bm_training.diffusion.sampler import NumpyDenoiser, TorchDenoiser, as_tensors, torch_sampler  # noqa: E402

torch.set_num_threads(1)
TRAINING = Training(commit="0123abc", motion_set="walk", motion_set_sha256="ff" * 32, steps=7, run="tiny")


def spec_with(**sampler):
    return dataclasses.replace(tiny_spec(), sampler=dataclasses.replace(tiny_spec().sampler, **sampler))


def export(path, precision="fp32", model=None, **sampler):
    return export_diffusion(model or tiny_model(), spec_with(**sampler), TRAINING, clip(), path, precision)


def forward(states):
    gradient = states * 0.0
    gradient[..., 93] = states[..., 93] - 0.5
    return gradient


def requests(spec):
    """A cold start, and a warm one with a committed action."""
    rng, layout = np.random.default_rng(0), spec.layout
    history = clip_histories(clip(), spec, 1)[0]
    known = history.states(spec.representation)[None], history.action_tokens(layout)[None]
    last = [rng.normal(size=(1, layout.tokens, width)) for width in (99, 58)]
    return cold_request(layout, *known, 20), warm_request(layout, *known, *last, 20, 14, 11, committed=1)


@pytest.mark.parametrize("which", [0, 1], ids=["cold", "warm"])
@pytest.mark.parametrize("guidance", [None, Guidance(gradient=forward)], ids=["unguided", "guided"])
@pytest.mark.parametrize("passes, action_passes", [(20, 0), (10, 2)])
def test_torch_numpy_and_onnx_make_the_same_plan_from_the_same_noise(which, guidance, passes, action_passes):
    spec, model = spec_with(passes=passes, action_passes=action_passes), tiny_model()
    request, reference = requests(spec)[which], spec.reference_sampler()
    noise = portable_noise(reference, 3, 21)
    numpy = reference.sample(NumpyDenoiser(model), request, noise, guidance)
    session = OnnxDenoise(planner_graph(model, spec).SerializeToString())
    onnx_plan = reference.sample(session, request, noise, guidance)
    loop = torch_sampler(spec, "cpu")
    torch_plan = loop.sample(TorchDenoiser(model), as_tensors(request, "cpu"), as_tensors(noise, "cpu"), guidance)
    for ours, theirs, tensors in zip(numpy, onnx_plan, torch_plan, strict=True):
        assert np.abs(ours - theirs).max() < 1e-4
        assert np.abs(ours - tensors.numpy()).max() < 1e-4
        assert np.abs(ours).max() > 0.1


@pytest.mark.parametrize("precision, tolerance, shrink", [("fp32", 1e-9, 0.9), ("fp16", 0.02, 0.7), ("int8", 0.3, 0.6)])
def test_every_precision_proves_itself_and_says_how_far_it_is_off(tmp_path, precision, tolerance, shrink):
    report = export(tmp_path / "policy.onnx", precision)
    assert report.trace.num_plans == 3 and report.parity_error < 1e-4
    assert report.precision_error.largest < tolerance
    assert (report.precision_error.rms > 0.0) == (precision != "fp32")
    bundle = DiffusionBundle.read(tmp_path / "policy.onnx")
    assert bundle.contract.precision == precision and bundle.contract.training == TRAINING
    assert bundle.contract.spec == tiny_spec()


def test_int8_ships_the_float_plans_beside_its_own_and_what_it_costs(tmp_path):
    report = export(tmp_path / "int8.onnx", "int8")
    export(tmp_path / "fp32.onnx")
    small, full = DiffusionBundle.read(tmp_path / "int8.onnx"), DiffusionBundle.read(tmp_path / "fp32.onnx")
    assert small.precision.error == report.precision_error and small.precision.error.rms > 1e-4
    np.testing.assert_allclose(small.precision.trace.plan_states, full.trace.plan_states, atol=1e-4)
    assert np.abs(small.trace.plan_states - full.trace.plan_states).max() > 1e-3  # its own are others
    assert full.precision is None and small.warnings == full.warnings == ()
    old = {entry.key: entry.value for entry in onnx.load(tmp_path / "int8.onnx").metadata_props}
    old.pop("bm.precision")
    (tmp_path / "old.onnx").write_bytes(with_metadata(onnx.load(tmp_path / "int8.onnx"), old))
    assert "int8 without the float32 plans" in DiffusionBundle.read(tmp_path / "old.onnx").warnings[0]


def test_an_int8_planner_that_left_its_float_plans_is_refused(tmp_path):
    """Its own plans may have been recorded on the very network that went wrong."""
    export(tmp_path / "int8.onnx", "int8")
    bundle = DiffusionBundle.read(tmp_path / "int8.onnx")
    denoise = OnnxDenoise((tmp_path / "int8.onnx").read_bytes())
    bundle.prove(denoise)

    def wrong(*inputs):
        states, actions = denoise(*inputs)
        return 0.5 * states, actions

    own = dataclasses.replace(bundle, trace=replayed(bundle.contract.spec, wrong, bundle.trace))
    with pytest.raises(BundleError, match=r"int8.onnx: float32 trace: plans differ by .* \(rms\), .* at export"):
        own.prove(wrong)


def test_a_planner_that_loses_too_much_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "MAX_PRECISION_ERROR", 1e-6)
    with pytest.raises(BundleError, match="int8 plans are .* off float32"):
        export(tmp_path / "int8.onnx", "int8")
    assert list(tmp_path.iterdir()) == []


def test_int8_weights_take_less_room(tmp_path):
    sizes = [export(tmp_path / f"{name}.onnx", name).num_bytes for name in ("fp32", "fp16", "int8")]
    assert sizes[0] > 1.5 * sizes[1] > sizes[2]


def test_the_runtime_runs_what_was_exported_with_fewer_action_tokens(tmp_path):
    from bm_sim2real.planning.denoiser import OnnxDenoiser

    export(tmp_path / "policy.onnx", passes=10, action_passes=2)
    bundle = DiffusionBundle.read(tmp_path / "policy.onnx")
    report = bundle.prove(OnnxDenoiser(tmp_path / "policy.onnx", bundle.contract.spec))
    assert report.state_error < 1e-4 and report.action_error < 1e-4


def test_the_trace_starts_cold_and_goes_on_warm(tmp_path):
    export(tmp_path / "policy.onnx")
    bundle = DiffusionBundle.read(tmp_path / "policy.onnx")
    plans = replay(bundle.contract.spec, NumpyDenoiser(tiny_model()), bundle.trace)
    assert [plan.is_warm for plan in plans] == [False, True, True]
    kept = plans[0].action(2)
    np.testing.assert_allclose(plans[1].action(2), kept, atol=1e-6)


def test_another_network_under_the_same_contract_is_refused(tmp_path):
    export(tmp_path / "policy.onnx")
    bundle = DiffusionBundle.read(tmp_path / "policy.onnx")
    with pytest.raises(BundleError, match=r"golden trace, plan 0, states token \d+: state first\[\d+\] is"):
        bundle.prove(NumpyDenoiser(tiny_model(seed=1)))


def test_single_numbers_may_be_off_by_more_than_all_of_them_together(tmp_path):
    export(tmp_path / "policy.onnx")
    bundle = DiffusionBundle.read(tmp_path / "policy.onnx")

    def prove(off, where):
        actions = bundle.trace.plan_actions.copy()
        actions[where] += np.float32(off) * np.maximum(1.0, np.abs(actions[where]))
        trace = dataclasses.replace(bundle.trace, plan_actions=actions)
        return check_plans(bundle.contract.spec, NumpyDenoiser(tiny_model()), trace, 0.01, "here")

    assert prove(0.04, (1, 3, 7)).action_error == pytest.approx(0.04, rel=0.05)
    with pytest.raises(BundleError, match=r"here: golden trace, plan 1, actions token 3: action 7 is"):
        prove(0.06, (1, 3, 7))
    with pytest.raises(BundleError, match=r"here: golden trace: actions differ by 0\.02 .*tolerance 0\.01"):
        prove(0.02, np.s_[:])


def test_exchanged_parts_are_refused(tmp_path):
    path = tmp_path / "policy.onnx"
    export(path)
    model = onnx.load(path)
    entry = next(entry for entry in model.metadata_props if entry.key == DECODER_KEY)
    good = entry.value
    entry.value = good[:-8] + "AAAAAAA="
    onnx.save(model, path)
    with pytest.raises(BundleError, match="decoder is not the exported one"):
        DiffusionBundle.read(path)
    entry.value = good
    model.graph.initializer[0].raw_data = bytes(len(model.graph.initializer[0].raw_data))
    onnx.save(model, path)
    with pytest.raises(BundleError, match="graph is not the exported one"):
        DiffusionBundle.read(path)


def test_a_tracker_loader_says_what_it_found(tmp_path):
    export(tmp_path / "policy.onnx")
    with pytest.raises(BundleError, match="kind is 'diffusion'"):
        Bundle.read(tmp_path / "policy.onnx")


def test_weights_that_are_not_finite_are_refused_and_nothing_is_written(tmp_path):
    model = tiny_model()
    model.positions[0, 0] = float("nan")
    with pytest.raises(BundleError, match="positions holds NaN"):
        export(tmp_path / "policy.onnx", model=model)
    assert list(tmp_path.iterdir()) == []


def test_equal_models_give_equal_files(tmp_path):
    for name in ("one.onnx", "other.onnx"):
        export(tmp_path / name)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "other.onnx").read_bytes()


def test_a_checkpoint_gives_its_averaged_weights_and_where_they_are_from(tmp_path):
    model = tiny_model()
    save_run(tmp_path / "walk", provenance={"commit": "0123abc", "data_sha256": "ab" * 32})
    trained = load_diffusion(tmp_path / "walk")
    assert trained.training.run == "walk" and trained.training.steps == 42
    torch.testing.assert_close(trained.model.state_dict(), model.state_dict(), rtol=0, atol=0)
    save_run(tmp_path / "walk", kind="tracker")
    with pytest.raises(ConfigError, match="tracker's checkpoint"):
        load_diffusion(tmp_path / "walk")


def test_a_latent_policy_carries_its_decoder_and_says_what_it_feels(tmp_path):
    from bm_sim2real.planning.decoder import ActionDecoder
    from bm_training.diffusion.latent_model import ActionAutoencoder, LatentConfig
    from bm_training.diffusion.model import MODELS, TokenTransformer

    spec = latent_spec()
    torch.manual_seed(0)
    model = TokenTransformer(MODELS["tiny"], spec).eval().requires_grad_(False)
    seen = [("command", 58), ("base_ang_vel", 3), ("joint_pos", 29), ("joint_vel", 29), ("actions", 29)]
    latent = ActionAutoencoder(LatentConfig(hidden=(16,)), seen).eval().requires_grad_(False)
    export_diffusion(model, spec, TRAINING, clip(), tmp_path / "policy.onnx", latent=latent)
    bundle = DiffusionBundle.read(tmp_path / "policy.onnx")
    assert sum(term.size for term in bundle.contract.decoder.observations) == 93
    decode = ActionDecoder(bundle.decoder, bundle.contract)
    feed = [torch.randn(1, 32), torch.randn(1, 93)]
    expected = latent.decode(*feed)[0].numpy()
    got = decode._session.run(None, {"z": feed[0].numpy(), "obs": feed[1].numpy()})[0][0]
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert np.abs(expected).max() > 0.01
