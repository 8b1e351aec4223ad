"""A run that is interrupted and resumed goes on as if nothing had been: `bm train tracking` on Newton, on the CPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("isaaclab_newton")
torch = pytest.importorskip("torch")

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
CLIPS = ",".join(str(ROOT / "motions" / name) for name in ("walk.npz", "stop_left035_0.npz"))


def train(run_dir: Path, *options: str) -> subprocess.Popen[str]:
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    command = [sys.executable, "-m", "bm_training.tracking.train", "--run-dir", str(run_dir), "--motions", CLIPS]
    command += ["--backend", "newton", "--device", "cpu", "--hidden-dims", "32", "32", "--num-envs", "6"]
    command += ["--num-mini-batches", "1", "--adaptive-after", "2", *options]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)


def finished(process: subprocess.Popen[str]) -> str:
    errors = process.communicate(timeout=500)[1]
    assert process.returncode == 0, errors[-2000:]
    return errors


def interrupted(run_dir: Path, number: signal.Signals) -> int:
    """Iterations of a run that gets a signal as soon as it reports its second one."""
    process = train(run_dir, "--max-iterations", "100000")
    for line in process.stderr:
        if line.strip().startswith("it 2/"):
            process.send_signal(number)
            break
    finished(process)
    return newest(run_dir)["iteration"]


def newest(run_dir: Path, what: str = "model_*.pt") -> dict:
    path = sorted((run_dir / "checkpoints").glob(what))[-1]
    return torch.load(path, map_location="cpu", weights_only=False)


def rows(run_dir: Path, first: int) -> list[dict[str, float]]:
    """Lines of the log from an iteration on, without what is a matter of the clock."""
    lines = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    clock = ("time/steps_per_second", "time/iteration_s", "time/collect_s", "time/learn_s")
    return [{k: v for k, v in line.items() if k not in clock} for line in lines if line["iteration"] >= first]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[Path, Path, int]:
    """A run that was interrupted and resumed, one that was not, and the iteration between."""
    broken, whole = tmp_path_factory.mktemp("broken"), tmp_path_factory.mktemp("whole")
    stopped_at = interrupted(broken, signal.SIGINT)
    end = str(stopped_at + 2)
    assert "exactly" in finished(train(broken, "--max-iterations", end, "--resume", str(broken)))
    finished(train(whole, "--max-iterations", end))
    return broken, whole, stopped_at


def test_an_interrupted_run_saves_where_it_stopped(runs):
    broken, _, stopped_at = runs
    saved = torch.load(broken / "checkpoints" / f"model_{stopped_at:06d}.pt", map_location="cpu", weights_only=False)
    assert saved["iteration"] == saved["sampler"]["iteration"] == stopped_at >= 2
    assert saved["steps"] == stopped_at * 24 * 6


def test_sampler_statistics_are_those_of_the_uninterrupted_run(runs):
    first, second = (newest(folder)["sampler"] for folder in runs[:2])
    assert float(first["sums"][1].sum()) > 10.0
    assert torch.equal(first["sums"], second["sums"]) and torch.equal(first["pending"], second["pending"])


def test_the_same_starts_are_drawn(runs):
    # The generator has been asked for every start of every step since the interruption.
    first, second = (newest(folder)["sampler"]["generator"] for folder in runs[:2])
    assert torch.equal(first, second)
    now = [newest(folder, "environment_0.pt")["env"]["tensors"] for folder in runs[:2]]
    for name in ("motion.motion_id", "motion.frame", "episode_length", "push.left"):
        assert torch.equal(now[0][name], now[1][name]), name


def test_networks_and_log_are_the_same(runs):
    broken, whole, stopped_at = runs
    weights = [newest(folder)["alg"]["actor_state_dict"] for folder in (broken, whole)]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name
    assert rows(broken, stopped_at + 1) == rows(whole, stopped_at + 1)
    assert len(rows(broken, stopped_at + 1)) == 2
