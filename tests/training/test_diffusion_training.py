"""`bm train diffusion` on the CPU: it learns, validates by token, saves, resumes, stops on a signal."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")

from diffusion_data import STEPS, rollouts  # noqa: E402

from bm_core.diffusion.spec import DiffusionSpec  # noqa: E402
from bm_core.errors import ConfigError  # noqa: E402
from bm_training.diffusion.rollout_file import RolloutWriter  # noqa: E402
from bm_training.diffusion.train import TrainDiffusion  # noqa: E402
from bm_training.diffusion.trainer import load_model, read_state  # noqa: E402

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[2]
SHORT = {"model": "tiny", "batch": 32, "learning_rate": 3e-3, "device": "cpu", "val_interval": 100, "log_interval": 25}
LIMIT_S = 120.0


def log_of(run_dir):
    return [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    writer = RolloutWriter(folder, steps=STEPS, sources=["squat"], provenance={"teacher": "the clip itself"})
    writer.write_shard(rollouts(6), seed=0)
    return folder


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("run")
    train = TrainDiffusion(data=str(data), run_dir=folder, max_steps=200, json=folder / "summary.json", **SHORT)
    assert train() == 0
    return folder


def test_a_tiny_set_is_overfitted(run_dir):
    rows = log_of(run_dir)
    assert rows[-1]["iteration"] == 200
    assert rows[0]["val/loss"] > 5.0 * rows[-1]["val/loss"]
    assert rows[0]["train/loss"] > 3.0 * rows[-1]["train/loss"]


def test_validation_is_told_by_token(run_dir):
    last = log_of(run_dir)[-1]
    names = {name for name in last if name.startswith("val/") and name != "val/loss"}
    assert names == {f"val/state_{i:02d}" for i in range(5, 21)} | {f"val/action_{i:02d}" for i in range(4, 12)}
    assert all(last[name] > 0.0 for name in names)


def test_the_run_leaves_a_model_its_spec_and_curves(run_dir):
    names = sorted(path.name for path in (run_dir / "checkpoints").iterdir())
    assert names == ["best.pt", "diffusion_spec.json", "model_000200.pt"]
    spec, model = load_model(run_dir / "checkpoints" / "model_000200.pt")
    assert spec == DiffusionSpec.from_json((run_dir / "checkpoints" / "diffusion_spec.json").read_text())
    assert not model.training
    assert list(run_dir.glob("events.out.tfevents.*"))
    summary = json.loads((run_dir / "summary.json").read_text())["summary"]
    assert (summary["iterations"], summary["steps"]) == (200, 200 * 32)


def test_resume_continues_from_averaged_weights(run_dir, data, tmp_path):
    before = read_state(run_dir / "checkpoints" / "model_000200.pt", "cpu")
    TrainDiffusion(data=str(data), run_dir=tmp_path, max_steps=201, resume=run_dir, **SHORT)()
    after = read_state(tmp_path / "checkpoints" / "model_000201.pt", "cpu")
    assert after["step"] == 201 and after["ema_updates"] == 201
    assert after["spec"] == before["spec"]
    moved = max(float((after["ema"][name] - before["ema"][name]).abs().max()) for name in after["ema"])
    assert 0.0 < moved < 1e-3
    with pytest.raises(ConfigError, match="other tokens"):
        TrainDiffusion(data=str(data), run_dir=tmp_path, max_steps=202, resume=run_dir, state="joint_rot", **SHORT)()


def test_bf16_trains_alike_and_validates_in_full_precision(data, tmp_path):
    TrainDiffusion(data=str(data), run_dir=tmp_path / "half", max_steps=2, bf16=True, **SHORT)()
    TrainDiffusion(data=str(data), run_dir=tmp_path / "full", max_steps=2, **SHORT)()
    half, full = log_of(tmp_path / "half")[0], log_of(tmp_path / "full")[0]
    assert half["train/loss"] == pytest.approx(full["train/loss"], rel=2e-2)
    assert half["train/loss"] != full["train/loss"]
    # Of the untrained network, which is the same in both.
    assert half["val/loss"] == full["val/loss"]


def test_sigterm_saves(data, tmp_path):
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    command = [sys.executable, "-m", "bm_training.diffusion.train", "--data", str(data), "--run-dir", str(tmp_path)]
    command += ["--model", "tiny", "--batch", "4", "--device", "cpu", "--log-interval", "1"]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    log, deadline = tmp_path / "log.jsonl", time.monotonic() + LIMIT_S
    while not (log.exists() and log.read_text().count("\n") >= 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, told[-2000:]
    assert "SIGTERM: saving" in told
    (saved,) = (tmp_path / "checkpoints").glob("model_*.pt")
    assert read_state(saved, "cpu")["step"] == log_of(tmp_path)[-1]["iteration"] >= 2


def test_missing_data_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="no data set there"):
        TrainDiffusion(data=str(tmp_path / "nowhere"), run_dir=tmp_path, **SHORT)()
    assert not (tmp_path / "checkpoints").exists()
