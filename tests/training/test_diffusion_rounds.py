"""Closed-loop data: the tracker picks robots up at the frame they are nearest to; episodes have no seam."""

import json
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
from bm_core.motion import load_clip  # noqa: E402
from bm_training.diffusion.reference_match import ReferenceMatch  # noqa: E402
from bm_training.diffusion.rollout_file import RolloutWriter, load_collections, load_rollouts  # noqa: E402
from bm_training.rotations import quat_from_yaw, quat_multiply, quat_rotate  # noqa: E402
from bm_training.tracking.motion_library import MotionLibrary  # noqa: E402

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[2]


def library():
    return MotionLibrary([load_clip(ROOT / "motions" / f"{name}.npz") for name in ("walk_loop", "stream_s2_000")])


def states(library, rows):
    """Root (n, 13), joint positions and velocities of flat frames."""
    parts = (library.body_pos_w, library.body_quat_w, library.body_lin_vel_w, library.body_ang_vel_w)
    root = torch.cat([part[rows, library.root_index] for part in parts], dim=-1)
    return root, library.joint_pos[rows], library.joint_vel[rows]


def test_a_reference_state_is_found_wherever_it_is_and_whichever_way_it_faces():
    motions = library()
    match = ReferenceMatch(motions, ahead=100)
    rows = torch.tensor([40, 200, int(motions.motion_start[1]) + 300])
    root, joint_pos, joint_vel = states(motions, rows)
    turn = quat_from_yaw(torch.tensor([0.0, 2.5, -1.0]))
    moved = torch.cat(
        [
            quat_rotate(turn, root[:, :3]) + torch.tensor([7.0, -3.0, 0.0]),
            quat_multiply(turn, root[:, 3:7]),
            quat_rotate(turn, root[:, 7:10]),
            quat_rotate(turn, root[:, 10:]),
        ],
        dim=-1,
    )
    motion, frame = match.nearest(moved, joint_pos, joint_vel)
    assert motion.tolist() == [0, 0, 1] and int(frame[2]) == 300
    # The first clip is a loop: the same moment of another stride will do.
    found = states(motions, motions.motion_start[motion] + frame)
    assert float((found[1] - joint_pos).abs().max()) < 1e-3


def test_frames_too_near_to_a_clips_end_are_not_offered():
    motions = library()
    length = int(motions.motion_length[0])
    match = ReferenceMatch(motions, ahead=100)
    motion, frame = match.nearest(*states(motions, torch.tensor([length - 1])))
    assert int(frame) + 100 < int(motions.motion_length[int(motion)])
    with pytest.raises(ConfigError, match="no clip goes on for 100000 frames"):
        ReferenceMatch(motions, ahead=100_000)


def test_several_collections_are_one_and_must_be_alike(tmp_path):
    for name, steps, episodes in (("a", STEPS, 4), ("b", STEPS, 3), ("c", STEPS - 1, 2)):
        data = rollouts(episodes)
        cut = type(data)(**{key: value[:, :steps] if value.ndim > 1 else value for key, value in vars(data).items()})
        RolloutWriter(tmp_path / name, steps=steps, sources=[name], provenance={}).write_shard(cut, seed=0)
    manifests, both = load_collections([tmp_path / "a", tmp_path / "b"])
    assert both.episodes == 7 and [manifest.episodes for manifest in manifests] == [4, 3]
    assert both.source.tolist() == [0] * 4 + [1] * 3
    with pytest.raises(ConfigError, match="steps is not that of"):
        load_collections([tmp_path / "a", tmp_path / "c"])


@pytest.mark.slow
def test_in_the_simulator_episodes_go_from_the_policy_to_the_tracker_without_a_seam(tmp_path):
    pytest.importorskip("isaaclab")
    from bm_training.diffusion.train import TrainDiffusion

    writer = RolloutWriter(tmp_path / "data", steps=STEPS, sources=["squat"], provenance={})
    writer.write_shard(rollouts(4), seed=0)
    TrainDiffusion(
        data=str(tmp_path / "data"), run_dir=tmp_path / "run", model="tiny", batch=8, max_steps=1, device="cpu"
    )()
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    command = [sys.executable, "-m", "bm_training.diffusion.collect_rounds", "--model", str(tmp_path / "run")]
    command += ["--teacher", str(ROOT / "policies" / "g1_tracker.pt"), "--out", str(tmp_path / "round")]
    command += ["--motions", str(ROOT / "motions" / "stream_s2_000.npz"), "--passes", "2", "--num-envs", "16"]
    command += ["--steps", "60", "--survive", "60", "--run", "110", "--episodes", "1", "--backend", "ovphysx"]
    command += ["--device", "cpu", "--json", str(tmp_path / "round.json")]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert result.returncode == 0, result.stderr[-2000:]
    summary = json.loads((tmp_path / "round.json").read_text())["summary"]
    assert summary["unguided"] + summary["guided"] == 16 and summary["survived"] <= summary["takeovers"] <= 32
    # An untrained policy: falls, and takeovers from before them.
    assert summary["unguided_falls"] + summary["guided_falls"] > 0 and summary["falls_per_minute"] > 1.0
    _, found = load_rollouts(tmp_path / "round")
    assert found.episodes == summary["survived"] == summary["episodes"] > 0
    root = found.root.astype(float)
    # The way between two frames is what the velocities at its ends say, however hard a robot is braked: the tracker
    # that catches a falling one changes its velocity by 0.25 m/s a step.
    between = 0.5 * (root[:, 1:, 7:10] + root[:, :-1, 7:10])
    off = np.median(np.linalg.norm(np.diff(root[..., :3], axis=1) / 0.02 - between, axis=-1), axis=0)
    changes = np.median(np.linalg.norm(np.diff(root[..., 7:10], axis=1), axis=-1), axis=0)
    # Frame 8 is the first that the tracker acts from. A jump of 2 mm there would be 0.1 m/s.
    assert off[:7].max() < 0.07 and off[7:9].max() < 0.08
    assert changes[7] < 2.0 * changes[:7].mean()
    joints = np.abs(np.diff(found.joint_pos.astype(float), axis=1) / 0.02 - found.joint_vel[:, 1:])
    assert np.median(joints[:, 7:9]) < 0.5
    assert found.action_label[:, 8:].astype(float).std() > 0.1
