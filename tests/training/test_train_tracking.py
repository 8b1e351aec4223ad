"""`bm train tracking` on the CPU: it learns, saves, resumes with the sampler's statistics, and starts warm."""

from __future__ import annotations

import dataclasses
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


def load(run_dir: Path, name: str) -> dict:
    return torch.load(run_dir / "checkpoints" / name, weights_only=False)


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
    # What a resumed run has to be better than is that of best.pt, from the first checkpoint on.
    first, best = (load(run_dir, name) for name in ("model_000010.pt", "best.pt"))
    assert 0.0 <= first["best"] <= best["best"]


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


def test_what_only_the_simulator_can_tell_is_one_line_too(run_dir, clip, tmp_path):
    result = train(tmp_path / "run", clip, "--num-envs", "8", "--state-estimation", "--resume", str(run_dir))
    assert result.returncode == 2, result.stderr[-2000:]
    assert result.stderr.strip().splitlines()[-1].startswith("error: resume: the checkpoint has other observations")
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def two_clips(clip, tmp_path_factory) -> Path:
    """The standing clip, and the same as `later`."""
    from bm_core.motion import load_clip, save_clip

    folder = tmp_path_factory.mktemp("two")
    for name in ("stand", "later"):
        save_clip(dataclasses.replace(load_clip(clip), name=name), folder / f"{name}.npz")
    return folder


@pytest.fixture(scope="module")
def staged(two_clips, tmp_path_factory) -> Path:
    """One iteration in the first stage of a curriculum, starts in the third second."""
    folder = tmp_path_factory.mktemp("staged")
    (folder / "stages.yaml").write_text(
        "stages: [{name: a, motions: [stand]}, {name: b, motions: ['*'], at_iteration: 900}]"
    )
    (folder / "bins.yaml").write_text("stand: [0, 0, 1, 0]")
    options = ["--num-envs", "8", "--max-iterations", "1", "--num-mini-batches", "1"]
    options += ["--curriculum", str(folder / "stages.yaml"), "--bin-probabilities", str(folder / "bins.yaml")]
    result = train(folder, two_clips, *options)
    assert result.returncode == 0, result.stderr[-2000:]
    return folder


def test_curriculum_and_bins_by_hand_hold_from_the_first_episode_on(staged):
    (line,) = (staged / "motions.jsonl").read_text().splitlines()
    assert list(json.loads(line)["errors"]) == ["stand"]
    sampler = load(staged, "model_000001.pt")["sampler"]
    entries = dict(zip(sampler["names"], sampler["sums"][1].reshape(2, 4).tolist(), strict=True))
    assert entries["later"] == [0.0] * 4
    assert entries["stand"][:2] == [0.0, 0.0] and entries["stand"][2] >= 8.0


def test_a_resumed_run_does_what_its_own_options_say(staged, two_clips, tmp_path):
    bins, summary = tmp_path / "bins.yaml", tmp_path / "summary.json"
    bins.write_text("later: [1, 1, 0, 0]")
    options = ["--num-envs", "8", "--max-iterations", "1", "--num-mini-batches", "1", "--max-delay-ms", "10"]
    options += ["--bin-probabilities", str(bins), "--resume", str(staged), "--json", str(summary)]
    result = train(tmp_path / "run", two_clips, *options)
    assert result.returncode == 0, result.stderr[-2000:]
    (told,) = (line for line in result.stderr.splitlines() if line.startswith("resumed"))
    assert "iteration 1, with other options; options that differ: " in told
    assert "--max-delay-ms 10.0 (was 20.0)" in told and "--curriculum None (was" in told
    assert "at iteration 1 of 1 already" in result.stderr
    saved = load(tmp_path / "run", "model_000001.pt")["sampler"]
    weights = dict(zip(saved["names"], saved["override"].reshape(2, 4).tolist(), strict=True))
    assert weights == {"stand": [0.0] * 4, "later": [0.5, 0.5, 0.0, 0.0]}
    assert saved["motion_weight"].tolist() == [1.0, 1.0]
    found = json.loads(summary.read_text())
    assert (found["rows"], found["summary"]["steps"], found["summary"]["iterations"]) == ([], 24 * 8, 1)


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
