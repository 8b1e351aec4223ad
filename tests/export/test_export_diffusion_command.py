"""`bm export diffusion` from a training run's folder to a bundle and a document; a damaged checkpoint is named."""

import json
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="export needs torch: run it in .venv-train")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))

from diffusion_data import clip, latent_spec, save_run, tiny_model, tiny_spec  # noqa: E402

from bm_core.diffusion.bundle import DiffusionBundle  # noqa: E402
from bm_core.errors import BundleError, ConfigError  # noqa: E402
from bm_core.motion import save_clip  # noqa: E402
from bm_export.commands import ExportDiffusion  # noqa: E402
from bm_export.diffusion_checkpoint import load_diffusion  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture
def motion(tmp_path):
    path = tmp_path / "squat.npz"
    save_clip(clip(), path)
    return path


def test_a_run_becomes_a_bundle_with_the_chosen_sampler_and_guidance(tmp_path, motion, capsys):
    out, document, guidance = tmp_path / "policy.onnx", tmp_path / "out.json", tmp_path / "guidance.json"
    guidance.write_text('{"slew": 0.75}')
    run = save_run(tmp_path / "walk")
    command = ExportDiffusion(
        checkpoint=run, out=out, clip=motion, passes=4, eta=0.0, guidance=guidance, json=document, precision="int8"
    )
    assert command() == 0
    contract = DiffusionBundle.read(out).contract
    assert (contract.spec.sampler.passes, contract.spec.sampler.eta) == (4, 0.0)
    assert contract.spec.sampler.warm_state_level == tiny_spec().sampler.warm_state_level
    assert contract.guidance.slew == 0.75 and contract.precision == "int8"
    assert (contract.training.run, contract.training.steps) == ("walk", 42)
    assert json.loads(contract.training.motion_set_sha256) == ["ab" * 32, "cd" * 32]
    measured = json.loads(document.read_text())
    assert measured["command"] == "export diffusion" and measured["passed"] is True
    assert measured["summary"]["num_bytes"] == out.stat().st_size
    assert measured["summary"]["parity_error"] < 1e-4 < measured["summary"]["precision_error"]["rms"]
    assert "golden trace of 3 plans replayed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text, words",
    [('{"slow": 1.0}', "slow"), ('{"slew": 0.0}', "slew = 0.0"), ("nonsense", "guidance.json")],
)
def test_guidance_that_makes_no_sense_is_refused_before_anything_is_written(tmp_path, motion, text, words):
    guidance, out = tmp_path / "guidance.json", tmp_path / "policy.onnx"
    guidance.write_text(text)
    with pytest.raises(ConfigError, match=words):
        ExportDiffusion(checkpoint=save_run(tmp_path / "walk"), out=out, clip=motion, guidance=guidance)()
    assert not out.exists()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"passes": 0}, "0 passes"),
        ({"action_passes": -1}, "-1 action_passes"),
        ({"eta": 1.5}, "eta = 1.5"),
        ({"eta": float("nan")}, "eta = nan"),
        ({"warm_state_level": 21}, "warm_state_level = 21: 0 to 20"),
        ({"warm_action_level": -3}, "warm_action_level = -3"),
    ],
)
def test_a_sampler_that_cannot_sample_is_refused_before_anything_is_written(tmp_path, motion, options, words):
    out = tmp_path / "policy.onnx"
    with pytest.raises(BundleError, match=words):
        ExportDiffusion(checkpoint=save_run(tmp_path / "walk"), out=out, clip=motion, **options)()
    assert not out.exists()


@pytest.mark.parametrize("missing", ["model", "spec", "ema", "step"])
def test_a_checkpoint_that_lacks_a_part_is_named_with_the_part(tmp_path, missing):
    with pytest.raises(ConfigError, match=f"model_000042.pt.*{missing}"):
        load_diffusion(save_run(tmp_path / "walk", **{missing: None}))


def test_weights_of_a_network_of_another_size_are_refused_with_the_files_name(tmp_path):
    weights = {name: tensor[..., :1].clone() for name, tensor in tiny_model().state_dict().items()}
    with pytest.raises(ConfigError, match="model_000042.pt: .*size mismatch"):
        load_diffusion(save_run(tmp_path / "walk", ema=weights))


def test_latent_plans_without_a_decoder_are_refused_with_what_would_help(tmp_path):
    from bm_training.diffusion.model import MODELS, TokenTransformer

    spec = latent_spec()
    weights = TokenTransformer(MODELS["tiny"], spec).state_dict()
    with pytest.raises(ConfigError, match="holds no decoder; train it with --latent"):
        load_diffusion(save_run(tmp_path / "walk", spec=spec.to_json(), ema=weights))
