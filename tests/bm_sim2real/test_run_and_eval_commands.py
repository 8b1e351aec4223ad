"""`bm run`, `bm eval tracking`, `bm eval brake` from their arguments to exit code and document."""

import json
from pathlib import Path

import numpy as np
import pytest

from bm_core.errors import BmError, BundleError, ConfigError
from bm_core.motion import clip_from_qpos, save_clip
from bm_sim2real.commands.eval_brake import EvalBrake
from bm_sim2real.commands.eval_tracking import EvalTracking
from bm_sim2real.commands.run import Run


@pytest.fixture
def clips(balancer, tmp_path):
    """Two seconds of standing: one as the policy stands, one leaning, which it cannot."""
    folder = tmp_path / "clips"
    pose = balancer.stand.body_pos_w[0], balancer.stand.body_quat_w[0], balancer.stand.joint_pos
    for name, tilt in (("calm", 0.0), ("leaning", 0.35)):
        root_pos, root_quat, joint_pos = (np.tile(part, (101, 1)) for part in pose)
        root_quat = root_quat + [0.0, 0.0, tilt / 2, 0.0]
        root_quat /= np.linalg.norm(root_quat, axis=1, keepdims=True)
        save_clip(clip_from_qpos(name, root_pos, root_quat, joint_pos, 50.0), folder / f"{name}.npz")
    return folder


@pytest.fixture
def stands_like_the_balancer(balancer, monkeypatch):
    monkeypatch.setattr("bm_sim2real.standing.standing_frame", lambda: balancer.stand)
    monkeypatch.setattr("bm_sim2real.evaluation.standing_frame", lambda: balancer.stand)


def document(path):
    return json.loads(path.read_text())


def test_eval_tracking_passes_writes_its_document_and_prints_a_table(bundle_path, clips, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert EvalTracking(policy=bundle_path, motions=str(clips / "calm.npz"), jobs=1, json=out)() == 0
    result = document(out)
    assert result["command"] == "eval tracking" and result["passed"] is True
    summary = result["summary"]
    assert (summary["clips"], summary["completed"], summary["completion_rate"]) == (1, 1, 1.0)
    assert set(summary["tick_ms"]) == {"p50", "p99", "max"}
    assert 0.0 < summary["body_error_m"] < 0.06 and summary["realtime_factor"] > 0.0
    assert summary["simulation"]["base_state"] == "none"
    assert result["rows"][0]["clip"] == "calm"
    assert "calm" in capsys.readouterr().out


def test_eval_tracking_measured_but_failed_is_1(bundle_path, clips, tmp_path):
    out = tmp_path / "out.json"
    assert EvalTracking(policy=bundle_path, motions=str(clips), jobs=1, json=out)() == 1
    result = document(out)
    assert result["passed"] is False
    assert [row["completed"] for row in result["rows"]] == [True, False]
    assert result["summary"]["completed"] == 1


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"policy": Path("missing.onnx")}, BundleError, "missing.onnx"),
        ({"motions": "nowhere.npz"}, BmError, "nowhere.npz"),
        ({"motions": "a.npz", "motion_set": "b"}, ConfigError, "not both"),
        ({"motion_set": "no_such_set"}, ConfigError, "no_such_set"),
        ({"delay_ms": 5}, ConfigError, "delay_ms = 5"),
        ({"seeds": 3}, ConfigError, "--pushes"),
        ({"provider": "quantum"}, ConfigError, "quantum"),
    ],
)
def test_eval_tracking_that_cannot_run_says_why_and_writes_nothing(
    bundle_path, clips, tmp_path, arguments, error, words
):
    out = tmp_path / "out.json"
    defaults = {"policy": bundle_path, "json": out, "jobs": 1}
    if not {"motions", "motion_set"} & set(arguments):
        defaults["motions"] = str(clips)
    with pytest.raises(error, match=words):
        EvalTracking(**{**defaults, **arguments})()
    assert not out.exists()


def test_run_stands_and_records(bundle_path, tmp_path, stands_like_the_balancer, capsys):
    out, log = tmp_path / "run.json", tmp_path / "run.npz"
    code = Run(policy=bundle_path, seconds=1.0, record=log, json=out)()
    printed = capsys.readouterr().out
    assert [word for word in ("hang", "stand", "gantry released", "damped, end") if word not in printed] == []
    with np.load(log) as rows:
        modes = [json.loads(str(rows["info"]))["modes"][mode] for mode in rows["mode"]]
    assert modes[0] == "hang" and modes[-1] == "damping" and "stand" in modes
    assert code == (0 if document(out)["summary"]["fault"] is None else 1)


def test_run_with_a_motion_that_cannot_be_read_starts_nothing(bundle_path, tmp_path):
    log = tmp_path / "run.npz"
    with pytest.raises(BmError):
        Run(policy=bundle_path, motion=tmp_path / "none.npz", record=log)()
    assert not log.exists()


@pytest.mark.parametrize(
    "given, words",
    [
        ({"dry_run": True}, "--dry-run: only with --robot hardware"),
        ({"network_interface": "eth0"}, "--network-interface: only with --robot hardware"),
        ({"robot": "hardware", "network_interface": "lo", "delay_ms": 4}, "--delay-ms: only with --robot mujoco"),
    ],
)
def test_an_option_of_the_other_robot_is_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        Run(**given)()


def test_eval_brake_measures_and_fails_a_policy_that_cannot_walk(bundle_path, balancer, tmp_path):
    pose = balancer.stand.body_pos_w[0], balancer.stand.body_quat_w[0], balancer.stand.joint_pos
    root_pos, root_quat, joint_pos = (np.tile(part, (150, 1)) for part in pose)
    root_pos[:, 0] += np.linspace(0.0, 1.5, 150)
    path, out = tmp_path / "glide.npz", tmp_path / "out.json"
    save_clip(clip_from_qpos("glide", root_pos, root_quat, joint_pos, 50.0), path)
    assert EvalBrake(policy=bundle_path, motions=str(path), trials=2, jobs=1, json=out)() == 1
    summary = document(out)["summary"]
    assert summary["trials"] == 2 and summary["upright_rate"] < 0.95
