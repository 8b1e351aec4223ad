"""`bm train tracking` on the CPU: it learns, saves, resumes with the sampler's statistics, and starts warm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("isaaclab")
torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]


def train(run_dir: Path, clip: Path, *options: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bm_training.tracking.train", "--run-dir", str(run_dir), "--motions", str(clip)]
    command += ["--backend", "ovphysx", "--device", "cpu", "--hidden-dims", "64", "64", *options]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=400)


def log_of(run_dir: Path) -> list[dict]:
    return [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """4 s of standing on bent knees, the easiest thing to track."""
    from bm_core.g1 import G1
    from bm_core.motion import clip_from_qpos, save_clip

    frames = 200
    root_pos = np.tile([0.0, 0.0, 0.76], (frames, 1))
    root_quat = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1))
    path = tmp_path_factory.mktemp("motions") / "stand.npz"
    save_clip(clip_from_qpos("stand", root_pos, root_quat, np.tile(G1.default_joint_pos, (frames, 1)), 50.0), path)
    return path


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, clip) -> Path:
    folder = tmp_path_factory.mktemp("run")
    options = ["--num-envs", "48", "--max-iterations", "30", "--num-mini-batches", "1", "--save-interval", "10"]
    result = train(folder, clip, *options)
    assert result.returncode == 0, result.stderr[-2000:]
    return folder


def test_reward_rises_in_thirty_iterations(run_dir):
    totals = [row["reward/total"] for row in log_of(run_dir)]
    assert len(totals) == 30
    # From the second on: the first iteration holds no failures yet. One iteration scatters by 0.06, eight by 0.02.
    assert np.mean(totals[-8:]) > np.mean(totals[1:9]) + 0.08


def test_the_run_leaves_checkpoints_and_a_contract(run_dir):
    from bm_core.contract import Contract

    names = sorted(path.name for path in (run_dir / "checkpoints").iterdir())
    assert names == [
        "best.pt",
        "contract.json",
        "environment_0.pt",
        "model_000010.pt",
        "model_000020.pt",
        "model_000030.pt",
    ]
    contract = Contract.from_json((run_dir / "checkpoints" / "contract.json").read_text())
    assert contract.observation_dim == 154
    assert contract.training.steps == 30 * 24 * 48


def test_resume_continues_counters_and_sampler_statistics(run_dir, clip):
    before = torch.load(run_dir / "checkpoints" / "model_000030.pt", weights_only=False)
    options = ["--num-envs", "48", "--max-iterations", "31", "--num-mini-batches", "1", "--resume", str(run_dir)]
    result = train(run_dir, clip, *options)
    assert result.returncode == 0, result.stderr[-2000:]
    after = torch.load(run_dir / "checkpoints" / "model_000031.pt", weights_only=False)
    assert [row["iteration"] for row in log_of(run_dir)][-2:] == [30, 31]
    assert after["sampler"]["iteration"] == before["sampler"]["iteration"] + 1 == 31
    assert float(after["sampler"]["sums"][1].sum()) > 0.9 * float(before["sampler"]["sums"][1].sum()) > 0.0


def test_warm_start_adds_state_estimation(run_dir, clip, tmp_path):
    options = ["--num-envs", "8", "--max-iterations", "1", "--state-estimation", "--init-from", str(run_dir)]
    result = train(tmp_path, clip, *options, "--init-std", "0.9")
    assert result.returncode == 0, result.stderr[-2000:]
    assert "'policy': ['motion_anchor_pos_b', 'base_lin_vel']" in result.stderr
    newest = (sorted((folder / "checkpoints").glob("model_*.pt"))[-1] for folder in (run_dir, tmp_path))
    actors = [torch.load(path, weights_only=False)["alg"]["actor_state_dict"] for path in newest]
    before, after = (int(actor["obs_normalizer.count"]) for actor in actors)
    assert after == before + 24 * 8
    assert actors[1]["distribution.std_param"].tolist() == pytest.approx([0.9] * 29, abs=0.02)
    assert max(actors[0]["distribution.std_param"].tolist()) < 0.5


def test_a_missing_clip_is_one_line_and_exit_2(tmp_path):
    result = train(tmp_path / "run", tmp_path / "nowhere.npz")
    assert result.returncode == 2
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "run").exists()


def test_a_run_is_evaluated_in_isaac_lab_on_clips_and_bins(run_dir, clip, tmp_path):
    document = tmp_path / "evaluation.json"
    command = [sys.executable, "-m", "bm_training.tracking.evaluate", str(run_dir), "--motions", str(clip)]
    command += ["--backend", "ovphysx", "--device", "cpu", "--num-envs", "8", "--starts-per-bin", "3"]
    command += ["--conditions", "training", "--json", str(document)]
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    # Exit 0 passed or 1 failed: thirty iterations need not make a good policy.
    result = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=400
    )
    assert result.returncode in (0, 1), result.stderr[-2000:]
    evaluation = json.loads(document.read_text())
    rows = {kind: [row for row in evaluation["rows"] if row["kind"] == kind] for kind in ("clip", "bin")}
    assert [row["clip"] for row in rows["clip"]] == ["stand"]
    assert rows["clip"][0]["episodes"] == 8
    # 199 steps: four bins, three starts in each, and those that come in from the bin before.
    assert len(rows["bin"]) == 4
    assert all(row["entries"] >= 3 for row in rows["bin"])
    summary = evaluation["summary"]
    assert summary["uniform_episodes"] == 12
    assert sum(row["failures"] for row in rows["bin"]) == round(12 * (1.0 - summary["uniform_completion_rate"]))
    assert summary["mpkpe_global_m"] > 0.0
