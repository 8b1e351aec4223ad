"""`bm check`: exit code, verdict and numbers for good, differing, foreign and damaged bundles."""

import json
import sys
from pathlib import Path

import onnx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bm_core"))
from foreign_files import write_wbt  # noqa: E402
from tiny_bundle import edit_document, save, wavy_clip, write_bundle  # noqa: E402

from bm_core.bundle import CONTRACT_KEY  # noqa: E402
from bm_core.errors import BundleError, ClipError, ConfigError  # noqa: E402
from bm_core.motion import clip_from_qpos, save_clip  # noqa: E402
from bm_sim2real.commands.check import Check  # noqa: E402


@pytest.fixture
def bundle_path(tmp_path):
    return write_bundle(tmp_path / "tiny.onnx")


def check(path, tmp_path, **options):
    document = tmp_path / "result.json"
    code = Check(bundle=path, inferences=20, json=document, **options)()
    return code, json.loads(document.read_text())


def test_a_good_bundle_is_safe(bundle_path, tmp_path, capsys):
    code, result = check(bundle_path, tmp_path)
    assert code == 0 and result["passed"] and result["command"] == "check"
    summary = result["summary"]
    assert summary["safe"] and summary["reasons"] == [] and summary["worst_term_error"] < 1e-5
    assert set(summary["inference_ms"]) == {"p50", "p99", "max"}
    terms = {row["term"]: (row["offset"], row["dim"]) for row in result["rows"]}
    assert terms["command"] == (0, 58) and terms["joint_vel"] == (102, 29) and terms["reference_window"] == (160, 78)
    assert "safe" in capsys.readouterr().out


def test_a_differing_replay_is_not_safe_and_says_which_term(bundle_path, tmp_path, capsys):
    def swap(document):
        terms = document["observations"]
        terms[3], terms[4] = terms[4], terms[3]

    code, result = check(edit_document(bundle_path, swap), tmp_path)
    assert code == 1 and not result["passed"] and not result["summary"]["safe"]
    assert "'base_ang_vel'[0]" in result["summary"]["reasons"][0]
    assert "not safe" in capsys.readouterr().out


def test_a_foreign_bundle_is_not_proven(bundle_path, tmp_path):
    model = onnx.load(bundle_path)
    metadata = {e.key: e.value for e in model.metadata_props if e.key != CONTRACT_KEY}
    metadata["observation_names"] = metadata["observation_names"].replace(",reference_window", "")
    metadata["observation_history_lengths"] = ",".join(["1"] * 8)
    model.producer_name = "pytorch"
    for tensor in (model.graph.input[0],):
        tensor.type.tensor_type.shape.dim[1].dim_value = 160
    weights = next(w for w in model.graph.initializer if w.name == "w0")
    weights.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights)[:160], "w0"))
    code, result = check(save(model, metadata, tmp_path / "foreign.onnx"), tmp_path)
    assert code == 1 and "no golden trace" in result["summary"]["reasons"][0]
    assert result["summary"]["worst_term_error"] is None and result["summary"]["warnings"]


def test_a_damaged_file_cannot_be_checked_and_nothing_is_written(bundle_path, tmp_path):
    bundle_path.write_bytes(bundle_path.read_bytes()[:500])
    with pytest.raises(BundleError, match="not a whole .onnx file"):
        check(bundle_path, tmp_path)
    assert not (tmp_path / "result.json").exists()


def test_a_contract_for_another_robot_is_unsafe_not_unreadable(bundle_path, tmp_path, capsys):
    code, result = check(edit_document(bundle_path, lambda d: d.update(robot="unitree_h1")), tmp_path)
    assert code == 1 and not result["summary"]["safe"]
    assert "made for robot 'unitree_h1'" in result["summary"]["reasons"][0]
    assert "not safe" in capsys.readouterr().out


def test_a_contract_that_is_no_json_is_unreadable(bundle_path, tmp_path):
    model = onnx.load(bundle_path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    save(model, metadata | {CONTRACT_KEY: metadata[CONTRACT_KEY][:300]}, bundle_path)
    with pytest.raises(BundleError, match="not JSON"):
        check(bundle_path, tmp_path)


def test_joint_map_and_torque_shares_are_in_the_document(bundle_path, tmp_path):
    _, result = check(bundle_path, tmp_path)
    summary = result["summary"]
    assert summary["motors"] == list(range(29)) and summary["provider"] == "cpu"
    shares = summary["torque_share"]  # the action scale is 0.25 effort / kp
    assert len(shares) == 29 and list(shares.values()) == pytest.approx([0.25] * 29)


def test_a_missing_provider_is_a_notice_not_a_silence(bundle_path, tmp_path, capsys):
    code, result = check(bundle_path, tmp_path, provider="cuda")
    assert code == 0 and result["summary"]["provider"] == "cpu"
    assert "falling back to cpu" in result["summary"]["notices"][0]
    assert "falling back to cpu" in capsys.readouterr().out


def test_a_motion_is_judged_with_the_policy(bundle_path, tmp_path, capsys):
    save_clip(wavy_clip(), tmp_path / "wavy.npz")
    code, result = check(bundle_path, tmp_path, motion=tmp_path / "wavy.npz")
    motion = result["summary"]["motion"]
    assert code == 0 and motion["name"] == "wavy" and motion["seconds"] == pytest.approx(0.78)
    assert motion["start_distance"] == pytest.approx(0.1, abs=0.01)  # its amplitude
    assert "rad from the default pose" in capsys.readouterr().out


def test_a_motion_that_cannot_be_entered_is_warned_about(bundle_path, tmp_path):
    clip = wavy_clip()
    far = clip_from_qpos("far", clip.root_pos - [0.0, 0.0, 0.3], clip.root_quat, clip.joint_pos, 50.0)
    save_clip(far, tmp_path / "far.npz")
    code, result = check(bundle_path, tmp_path, motion=tmp_path / "far.npz")
    assert code == 0 and "cannot be entered from standing" in result["summary"]["motion"]["warnings"][0]


def test_a_broken_motion_makes_it_unsafe(bundle_path, tmp_path):
    (tmp_path / "motion.npz").write_bytes(b"no archive")
    code, result = check(bundle_path, tmp_path, motion=tmp_path / "motion.npz")
    assert code == 1 and "motion" in result["summary"]["reasons"][0]


def test_a_missing_motion_is_an_error(bundle_path, tmp_path):
    with pytest.raises(ClipError, match="no such motion file"):
        check(bundle_path, tmp_path, motion=tmp_path / "gone.npz")


def test_the_motion_inside_a_foreign_policy_is_judged(tmp_path):
    code, result = check(write_wbt(tmp_path / "x.onnx", wavy_clip(60)), tmp_path)
    assert code == 1  # nothing proves a foreign policy
    assert result["summary"]["motion"]["seconds"] == pytest.approx(1.18) and len(result["summary"]["reasons"]) == 1
    assert sorted(result["summary"]["motors"]) == list(range(29)) != result["summary"]["motors"]


def test_an_unknown_provider_is_refused(bundle_path, tmp_path):
    with pytest.raises(ConfigError, match="provider 'npu' is unknown"):
        check(bundle_path, tmp_path, provider="npu")


def test_joints_and_guard_limits_are_listed_on_request(bundle_path, capsys):
    Check(bundle=bundle_path, inferences=1, joints=True, limits=True)()
    out = capsys.readouterr().out
    assert "left_wrist_yaw_joint" in out and "99.0984" in out and "silent_ticks" in out
