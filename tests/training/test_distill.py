"""`bm train distill` on the CPU: two teachers with other observations, a student that learns both and is a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("isaaclab")
pytest.importorskip("onnxruntime")

from tiny_tracker import write_tracker  # noqa: E402

from bm_core.errors import ConfigError  # noqa: E402
from bm_core.observation_terms import tracker_terms  # noqa: E402
from bm_training.tracking.teachers import assignment, load_teacher, parse_teacher  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
CLIPS = ",".join(str(ROOT / "motions" / name) for name in ("stand.npz", "walk_loop.npz"))
STUDENT = tracker_terms(state_estimation=False, window_steps=(4,), motions=("stand", "walk_loop"))
BIAS = {"stand": 0.3, "walk_loop": -0.3}


def distill(run_dir: Path, *options: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    command = [sys.executable, "-m", "bm_training.tracking.distill", "--run-dir", str(run_dir), "--motions", CLIPS]
    command += ["--backend", "ovphysx", "--device", "cpu", "--hidden-dims", "32", "32", "--num-envs", "8"]
    command += ["--reference-window", "4", "--motion-id", "--num-mini-batches", "2", "--learning-rate", "0.003"]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run([*command, *options], capture_output=True, text=True, env=environment, timeout=400)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory) -> tuple[str, str]:
    """One sees an estimate of the base and two frames ahead, the other nothing of that."""
    folder = tmp_path_factory.mktemp("teachers")
    stand = write_tracker(folder / "a", tracker_terms(state_estimation=True, window_steps=(8, 2)), BIAS["stand"])
    walk = write_tracker(folder / "b", tracker_terms(state_estimation=False), BIAS["walk_loop"], seed=1)
    return f"{stand}=stand*", f"{walk}=walk*,run*"


@pytest.fixture(scope="module")
def run_dir(teachers, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("student")
    for options in (["--max-iterations", "10"], ["--max-iterations", "12", "--resume", str(folder)]):
        result = distill(folder, "--teacher", *teachers, "--lead-iterations", "4", *options)
        assert result.returncode == 0, result.stderr[-2000:]
    assert "a teaches 1 motions; b teaches 1 motions" in result.stderr
    return folder


def test_the_loss_falls_and_the_run_is_resumed(run_dir):
    rows = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    loss = [row["loss/action"] for row in rows]
    assert [row["iteration"] for row in rows] == list(range(1, 13))
    assert np.mean(loss[-3:]) < 0.25 * loss[0]
    assert loss[10] < 2.0 * np.mean(loss[7:10])  # no step back at the resume


def test_a_student_that_sees_more_begins_from_one_that_saw_less(run_dir, teachers, tmp_path):
    options = ("--max-iterations", "1", "--lead-iterations", "0", "--state-estimation", "--init-from", str(run_dir))
    result = distill(tmp_path, "--teacher", *teachers, *options)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "'policy': ['motion_anchor_pos_b', 'base_lin_vel'], 'critic': []" in result.stderr
    rows = ((folder / "log.jsonl").read_text().splitlines() for folder in (tmp_path, run_dir))
    begun, anew = (json.loads(lines[0])["loss/action"] for lines in rows)
    assert begun < 0.5 * anew


def test_the_student_exports_and_answers_each_motion_as_its_teacher(run_dir, tmp_path):
    from bm_core.bundle import Bundle
    from bm_core.motion import load_clip
    from bm_core.observation import ObservationBuilder
    from bm_core.observation_terms import motion_ids
    from bm_core.reference import MotionReference
    from bm_export.checkpoint import load_tracker
    from bm_export.tracker import export_tracker
    from bm_sim2real.policies.inference import OnnxSession

    tracker = load_tracker(run_dir)
    clips = [load_clip(ROOT / "motions" / f"{name}.npz") for name in BIAS]
    export_tracker(tracker.actor, tracker.contract, clips, tmp_path / "student.onnx")
    bundle, session = Bundle.read(tmp_path / "student.onnx"), OnnxSession(tmp_path / "student.onnx")
    assert bundle.contract.observations == STUDENT
    assert motion_ids(bundle.contract.observations) == ("stand", "walk_loop")
    for clip in clips:
        observation = ObservationBuilder(bundle.contract).compute(
            standing_on(clip), MotionReference(clip), 1, np.zeros(29, np.float32)
        )
        assert observation[-2:].tolist() == [float(clip.name == name) for name in BIAS]
        assert abs(float(session(observation).mean()) - BIAS[clip.name]) < 0.15, clip.name


def standing_on(clip):
    """The robot on the clip's first frame."""
    from bm_core.rotations import quat_rotate_inverse
    from bm_core.state import RobotState

    quat = clip.body_quat_w[0, 0]
    return RobotState(
        seq=0,
        time=0.0,
        joint_pos=clip.joint_pos[0],
        joint_vel=clip.joint_vel[0],
        joint_torque=np.zeros(29),
        pelvis_quat_w=quat,
        pelvis_gyro_b=np.asarray(quat_rotate_inverse(quat, clip.body_ang_vel_w[0, 0])),
        pelvis_acc_b=np.zeros(3),
        pelvis_pos_w=clip.body_pos_w[0, 0],
        pelvis_lin_vel_b=np.asarray(quat_rotate_inverse(quat, clip.body_lin_vel_w[0, 0])),
    )


def test_every_motion_has_one_teacher_and_every_teacher_a_motion(teachers):
    loaded = [load_teacher(text, "cpu") for text in teachers]
    assert assignment(["run_1", "stand", "walk"], loaded) == [1, 0, 1]
    with pytest.raises(ConfigError, match="nobody teaches dance"):
        assignment(["stand", "dance"], loaded)
    with pytest.raises(ConfigError, match="b: teaches no motion"):
        assignment(["stand"], loaded)


def test_a_teacher_without_patterns_knows_everything():
    assert parse_teacher("runs/all") == (Path("runs/all"), ("*",))
    assert parse_teacher("runs/a=walk*,run") == (Path("runs/a"), ("walk*", "run"))
    with pytest.raises(ConfigError, match="RUN=PATTERN"):
        parse_teacher("runs/a=")
