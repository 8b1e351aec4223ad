"""`bm collect` in Isaac Lab on the CPU with the shipped tracker: consistent states, noisy actions, continued runs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("isaaclab")
pytest.importorskip("h5py")

from bm_core.rotations import angular_velocity_from_quats  # noqa: E402
from bm_training.diffusion.rollout_file import load_rollouts  # noqa: E402

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def collect(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    command = [sys.executable, "-m", "bm_training.diffusion.collect", "--out", str(out)]
    command += ["--teacher", str(ROOT / "policies" / "g1_tracker.pt"), "--backend", "ovphysx", "--device", "cpu"]
    command += ["--motions", str(ROOT / "motions" / "stream_s2_000.npz"), "--num-envs", "16"]
    command += ["--steps", "50", "--survive", "60", *options]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("collection")
    # Robots are pushed 1 s after their start at the earliest: the first 16 episodes show none.
    result = collect(out, "--episodes", "40")
    assert result.returncode == 0, result.stderr[-2000:]
    return out


def test_velocities_are_those_of_the_positions(folder):
    manifest, rollouts = load_rollouts(folder)
    assert manifest.episodes >= 40 and manifest.sources == ("stream_s2_000",)
    root = rollouts.root.astype(float)
    moved = (root[:, 2:, :3] - root[:, :-2, :3]) / 0.04
    # Of the pelvis's origin: its centre of mass, 8 cm lower, would be off by that times the turning speed.
    assert np.median(np.abs(moved - root[:, 1:-1, 7:10])) < 0.02
    turned = np.stack([angular_velocity_from_quats(quat, 0.02) for quat in root[..., 3:7]])
    assert np.median(np.abs(turned - root[..., 10:])[:, 1:-1]) < 0.15 < np.sqrt(np.mean(root[..., 10:] ** 2))
    joints = (rollouts.joint_pos[:, 2:].astype(float) - rollouts.joint_pos[:, :-2]) / 0.04
    assert np.median(np.abs(joints - rollouts.joint_vel[:, 1:-1])) < 0.15
    assert root[..., 2].min() > 0.5 and root[..., 2].max() < 0.9


def test_applied_actions_are_labels_with_noise_or_without(folder):
    _, rollouts = load_rollouts(folder)
    noise = (rollouts.action_applied.astype(float) - rollouts.action_label).std(axis=(1, 2))
    assert noise.max() > 0.08 and noise.min() < 0.06
    assert rollouts.action_label.astype(float).std() > 0.1


def test_pushes_are_marked_at_the_frame_that_shows_them(folder):
    _, rollouts = load_rollouts(folder)
    jump = np.linalg.norm(np.diff(rollouts.root[..., 7:9], axis=1), axis=-1)
    jolted = rollouts.jolted[:, 1:, 0] == 1
    assert jolted.sum() >= 3
    assert jump[jolted].mean() > 3.0 * jump[~jolted].mean()


def test_a_collection_is_continued_with_other_noise(folder):
    before = load_rollouts(folder)[0]
    result = collect(folder, "--episodes", str(before.episodes + 1))
    assert result.returncode == 0, result.stderr[-2000:]
    manifest, rollouts = load_rollouts(folder)
    assert len(manifest.shards) == 2 and manifest.shards[0] == before.shards[0]
    assert manifest.shards[1].seed != manifest.shards[0].seed
    first, second = rollouts.root[0], rollouts.root[before.episodes]
    assert not np.allclose(first, second)


def test_another_collection_is_not_mixed_in(folder):
    result = collect(folder, "--episodes", "1000", "--noise", "0.5")
    assert result.returncode == 2
    assert "other provenance" in result.stderr.strip().splitlines()[-1]
