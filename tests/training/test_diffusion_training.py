"""`bm train diffusion` on the CPU: it learns, validates by token, saves, resumes, stops on a signal."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")

from diffusion_data import STEPS, rollouts  # noqa: E402

from bm_core.diffusion.spec import DiffusionSpec  # noqa: E402
from bm_core.errors import ConfigError  # noqa: E402
from bm_training.diffusion.rate_schedule import RateSchedule  # noqa: E402
from bm_training.diffusion.rollout_file import RolloutWriter  # noqa: E402
from bm_training.diffusion.train import TrainDiffusion  # noqa: E402
from bm_training.diffusion.trainer import load_model, read_state  # noqa: E402
from bm_training.tracking.distributed import Ranks  # noqa: E402

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
    assert [row["iteration"] for row in rows if "val/loss" in row] == [1, 100, 200, 200]
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
        TrainDiffusion(
            data=str(data), run_dir=tmp_path / "b", max_steps=202, resume=run_dir, state="joint_rot", **SHORT
        )()
    with pytest.raises(ConfigError, match="holds a run already"):
        TrainDiffusion(data=str(data), run_dir=tmp_path, max_steps=202, **SHORT)()


def test_how_a_model_is_sampled_may_differ_from_what_it_is_resumed_from(run_dir, data, tmp_path):
    """Settings of the sampler are tuned, not trained."""
    state = torch.load(run_dir / "checkpoints" / "model_000200.pt", weights_only=False)
    spec = DiffusionSpec.from_json(state["spec"])
    state["spec"] = dataclasses.replace(spec, sampler=dataclasses.replace(spec.sampler, passes=8)).to_json()
    torch.save(state, tmp_path / "model_000200.pt")
    model, before = tmp_path / "model_000200.pt", tmp_path / "run"
    TrainDiffusion(data=str(data), run_dir=before, max_steps=201, resume=model, **SHORT)()
    assert DiffusionSpec.from_json((before / "checkpoints" / "diffusion_spec.json").read_text()).sampler.passes == 8


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


def schedule(**options):
    alone = Ranks(rank=0, local_rank=0, world_size=1, device="cpu")
    return RateSchedule(
        **{"peak": 1.0, "warmup_steps": 100, "max_steps": 10_000, "deadline": None} | options, ranks=alone
    )


def test_the_rate_warms_up_and_ends_at_zero():
    found = schedule()
    rates = []
    for step in (0, 49, 99, 999, 5_499, 9_999):
        found.look_at_clock(step)
        rates.append(found.rate(step))
    assert rates[:4] == pytest.approx([0.01, 0.5, 1.0, 1.0], abs=1e-3)
    assert rates[4] == pytest.approx(0.5, abs=0.01) and rates[5] < 1e-6


def test_a_deadline_ends_the_cosine_before_the_steps_do():
    now = time.monotonic()
    # Of a run of 1000 s 550 are over, of its steps a thousandth.
    found = schedule(deadline=now + 450.0)
    found.begun = now - 550.0
    found.look_at_clock(10)
    assert found.rate(10) == pytest.approx(0.5, abs=0.05)
    found.deadline = now - 1.0
    found.look_at_clock(10)
    assert found.rate(10) == 0.0


def test_a_resumed_run_warms_up_once_more():
    found = schedule(first_step=4_000)
    found.look_at_clock(4_000)
    assert found.rate(4_000) < 0.01 < 0.5 < found.rate(4_300)


def test_closed_loops_decide_on_the_best_model_where_there_are_any(data, tmp_path, monkeypatch):
    asked = []

    def gate(model, spec, decoder):
        asked.append((model.training, spec.layout.tokens, type(decoder).__name__))
        success = (0.2, 0.9, 0.4)[len(asked) - 1]
        return {"gate/success_rate": success, "gate/fall_rate": 1.0 - success, "gate/path_m": 5.0}

    monkeypatch.setattr(TrainDiffusion, "_gate", lambda self, settings, ranks: nullcontext(gate))
    TrainDiffusion(data=str(data), run_dir=tmp_path, max_steps=30, gate_interval=10, **SHORT)()
    assert asked == [(False, 21, "JointActions")] * 3
    assert read_state(tmp_path / "checkpoints" / "best.pt", "cpu")["step"] == 20
    assert [row["gate/success_rate"] for row in log_of(tmp_path) if "gate/path_m" in row] == [0.2, 0.9, 0.4]


@pytest.mark.slow
def test_a_run_is_gated_in_the_simulator(data, tmp_path):
    pytest.importorskip("isaaclab")
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    command = [sys.executable, "-m", "bm_training.diffusion.train", "--data", str(data), "--run-dir", str(tmp_path)]
    command += ["--model", "tiny", "--batch", "4", "--device", "cpu", "--max-steps", "2", "--gate-interval", "1"]
    command += ["--gate-envs", "4", "--gate-seconds", "1.5", "--gate-backend", "ovphysx"]
    command += ["--gate-teacher", str(ROOT / "policies" / "g1_tracker.pt")]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert result.returncode == 0, result.stderr[-2000:]
    gates = [row for row in log_of(tmp_path) if "gate/success_rate" in row]
    # An untrained model does not walk; a second loop begins anew, from standing robots.
    assert [row["iteration"] for row in gates] == [1, 2]
    assert all(row["gate/success_rate"] == 0.0 and 0.0 < row["gate/path_m"] < 3.0 for row in gates)


def test_missing_data_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="no data set there"):
        TrainDiffusion(data=str(tmp_path / "nowhere"), run_dir=tmp_path, **SHORT)()
    assert not (tmp_path / "checkpoints").exists()
