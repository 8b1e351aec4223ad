"""Latent actions: what the two halves see, how they travel, and the way from a tracker to a model of latents."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")

from diffusion_data import STEPS, rollouts  # noqa: E402

from bm_core.errors import ConfigError  # noqa: E402
from bm_training.diffusion.decoders import JointActions, decoder_of  # noqa: E402
from bm_training.diffusion.latent_actions import LatentActions  # noqa: E402
from bm_training.diffusion.latent_model import (  # noqa: E402
    PROPRIOCEPTION,
    ActionAutoencoder,
    LatentConfig,
    LatentDecoder,
    latent_document,
    latent_from_document,
)
from bm_training.diffusion.rollout_file import RolloutWriter, load_rollouts  # noqa: E402
from bm_training.diffusion.train import TrainDiffusion  # noqa: E402
from bm_training.diffusion.trainer import load_model  # noqa: E402
from bm_training.tracking.checkpoint import FORMAT, CheckpointFolder  # noqa: E402

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[2]
LAYOUT = [("command", 58), ("motion_anchor_ori_b", 6), ("base_ang_vel", 3), ("joint_pos", 29), ("joint_vel", 29)]
LAYOUT += [("actions", 29), ("reference_window[4]", 39)]
SMALL = LatentConfig(latent=4, hidden=(16,))


def autoencoder():
    torch.manual_seed(0)
    return ActionAutoencoder(SMALL, LAYOUT).eval()


def test_the_encoder_sees_the_reference_and_the_decoder_what_the_robot_feels():
    model = autoencoder()
    observation = torch.arange(193.0)[None]
    assert model.reference(observation)[0].tolist() == [*range(64), *range(154, 193)]
    felt = model.proprioception(observation, torch.tensor([[0.0, 0.0, -1.0]]))
    assert felt[0].tolist() == [0.0, 0.0, -1.0, *range(64, 154)]
    # The names under which a runtime finds the same numbers.
    assert [(term.name, term.dim) for term in PROPRIOCEPTION][:2] == [("projected_gravity", 3), ("base_ang_vel", 3)]
    assert sum(term.dim for term in PROPRIOCEPTION) == 93


def test_the_trackers_scaling_is_taken_over_term_by_term():
    model = autoencoder()
    model.scale_as(torch.arange(193.0), 1.0 + torch.arange(193.0))
    assert model.reference_mean[64:].tolist() == list(range(154, 193))
    assert model.felt_mean.tolist() == [0.0, 0.0, 0.0, *range(64, 154)]
    assert model.felt_std[:4].tolist() == [1.0, 1.0, 1.0, 65.0]


def test_a_tracker_without_its_last_action_has_no_decoder():
    with pytest.raises(ConfigError, match="does not see actions"):
        ActionAutoencoder(SMALL, [term for term in LAYOUT if term[0] != "actions"])


def test_a_decoder_is_the_same_after_its_travels_and_as_a_module():
    model = autoencoder()
    again = latent_from_document(latent_document(model), "cpu")
    z, felt = torch.randn(3, 4), torch.randn(3, 93)
    assert torch.equal(again.decode(z, felt), model.decode(z, felt))
    assert torch.equal(LatentDecoder(again)(z, felt), model.decode(z, felt))
    assert not torch.equal(model.decode(z + 1.0, felt), model.decode(z, felt))


def test_a_model_of_latents_carries_its_decoder(tmp_path):
    data, width = rollouts(4), 4
    latents = data.action_label[..., :width]
    data = type(data)(**{**vars(data), "action_label": latents, "action_applied": latents})
    writer = RolloutWriter(tmp_path / "data", steps=STEPS, sources=["a"], provenance={}, action_width=width)
    writer.write_shard(data, seed=0)
    state = {"format": FORMAT, "kind": "latent", "latent": latent_document(autoencoder())}
    CheckpointFolder(run_dir=tmp_path / "latent").save(state, 1)
    train = {"data": str(tmp_path / "data"), "run_dir": tmp_path / "run", "model": "tiny", "batch": 8, "max_steps": 1}
    with pytest.raises(ConfigError, match="give the run they are from as --latent"):
        TrainDiffusion(**train, device="cpu")()
    TrainDiffusion(**train, device="cpu", latent=tmp_path / "latent")()
    path = tmp_path / "run" / "checkpoints" / "model_000001.pt"
    spec, _ = load_model(path)
    assert (spec.action, spec.layout.step_width, spec.layout.action_width) == ("latent", 4, 8)
    assert isinstance(decoder_of(path, "cpu"), LatentActions)


def test_a_model_of_joint_actions_needs_none(tmp_path):
    writer = RolloutWriter(tmp_path / "data", steps=STEPS, sources=["a"], provenance={})
    writer.write_shard(rollouts(4), seed=0)
    train = {"data": str(tmp_path / "data"), "run_dir": tmp_path / "run", "model": "tiny", "batch": 8, "max_steps": 1}
    TrainDiffusion(**train, device="cpu")()
    assert isinstance(decoder_of(tmp_path / "run" / "checkpoints" / "model_000001.pt", "cpu"), JointActions)
    with pytest.raises(ConfigError, match="leave it out"):
        TrainDiffusion(**{**train, "run_dir": tmp_path / "other"}, device="cpu", latent=tmp_path)()


def run_module(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    command = [sys.executable, "-m", f"bm_training.diffusion.{name}", "--backend", "ovphysx", "--device", "cpu"]
    command += ["--teacher", str(ROOT / "policies" / "g1_tracker.pt"), *options]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert result.returncode == 0, result.stderr[-2000:]
    return result


@pytest.mark.slow
def test_in_the_simulator_from_the_tracker_to_a_collection_of_latents(tmp_path):
    pytest.importorskip("isaaclab")
    motions = ["--motions", str(ROOT / "motions" / "stream_s2_000.npz"), "--num-envs", "8"]
    run = str(tmp_path / "latent")
    result = run_module("train_latent", "--run-dir", run, *motions, "--hidden", "32", "--iterations", "10")
    assert "iteration 10/10" in result.stderr
    out = ["--out", str(tmp_path / "data"), "--latent", run, "--steps", "20", "--survive", "25", "--episodes", "4"]
    run_module("collect", *out, *motions)
    manifest, found = load_rollouts(tmp_path / "data")
    assert manifest.action_width == 32 and found.action_label.shape[2] == 32
    assert np.array_equal(found.action_label, found.action_applied)
    assert found.action_label.astype(float).std() > 0.0
