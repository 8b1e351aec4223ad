"""Several processes train one policy: torchrun with two ranks on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("isaaclab")

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def torchrun(run_dir: Path, *options: str) -> str:
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "bm_training.tracking.train", "--run-dir", str(run_dir), "--num-envs", "4"]
    command += ["--motions", f"{ROOT}/motions/walk.npz,{ROOT}/motions/stand.npz", "--num-mini-batches", "1"]
    command += ["--backend", "ovphysx", "--device", "cpu", "--hidden-dims", "32", "32", *options]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stderr


def test_two_ranks_share_policy_and_statistics_but_not_robots(tmp_path):
    stderr = torchrun(tmp_path, "--max-iterations", "2")
    folder = tmp_path / "checkpoints"
    saved = torch.load(folder / "model_000002.pt", map_location="cpu", weights_only=False)
    ranks = [torch.load(folder / f"environment_{rank}.pt", map_location="cpu", weights_only=False) for rank in (0, 1)]
    # Two iterations of 24 steps of 2 x 4 robots; one log, one line of progress an iteration.
    assert saved["steps"] == 2 * 24 * 8
    assert stderr.count("it 2/2") == 1
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2
    starts = [rank["env"]["tensors"]["motion.frame"] for rank in ranks]
    assert not torch.equal(*starts)
    # Every robot of both ranks has entered at least the bin of its first start.
    assert float(saved["sampler"]["sums"][1].sum()) >= 8 * 0.97
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["time/steps"] == 2 * 24 * 8
