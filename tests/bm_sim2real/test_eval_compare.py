"""`bm eval compare`: MuJoCo's and Isaac Lab's documents in one table, clip by clip and in total."""

import json

import numpy as np
import pytest

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos
from bm_core.reference import MotionReference
from bm_sim2real.commands.eval_compare import EvalCompare
from bm_sim2real.robots.ground_truth import GroundTruth
from bm_sim2real.tracking_errors import Terminations, tracking_errors

ERRORS = ("body_error_m", "mpkpe_global_m", "mpkpe_root_m", "joint_error_rad")
ERRORS += ("joint_velocity_error_rad_s", "body_velocity_error_m_s")


def row(clip, completed, error, frames=100, **more):
    return {
        "clip": clip,
        "seconds": 2.0,
        "completed": completed,
        "frames": frames,
        **dict.fromkeys(ERRORS, error),
        **more,
    }


@pytest.fixture
def documents(tmp_path):
    mujoco = [
        row("walk", True, 0.02),
        row("walk", False, 0.04, frames=300),
        row("kick", True, 0.05),
        row("run", True, 0.1),
    ]
    isaac = [
        row("kick", True, 0.06, kind="clip", success_rate=1.0),
        row("walk", False, 0.03, kind="clip", success_rate=0.75),
    ]
    isaac.append({"kind": "bin", "clip": "walk", "failure_rate": 0.5})
    for name, rows in (("mujoco", mujoco), ("newton", isaac)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"rows": rows, "summary": {}}))
    return tmp_path


def test_clips_of_both_are_compared_and_episodes_averaged(documents, capsys):
    out = documents / "out.json"
    command = EvalCompare(evaluations=(f"MJ={documents}/mujoco.json", f"{documents}/newton.json"), json=out)
    assert command() == 0
    document = json.loads(out.read_text())
    assert [row["clip"] for row in document["rows"]] == ["walk", "kick"]
    walk = document["rows"][0]
    assert (walk["MJ"]["success_rate"], walk["newton"]["success_rate"]) == (0.5, 0.75)
    assert walk["MJ"]["body_error_m"] == pytest.approx((0.02 * 100 + 0.04 * 300) / 400)
    total = document["summary"]
    # 50 % and 100 % against 75 % and 100 %: 12.5 points
    assert (total["MJ"]["completion_rate"], total["newton"]["points"]) == (0.75, pytest.approx(12.5))
    assert total["newton"]["body_error_m"] == pytest.approx(0.045)
    printed = capsys.readouterr().out
    assert "50% | 75%" in printed and "35.0 | 30.0" in printed and "newton: +12.5 points" in printed


def test_what_is_not_comparable_is_refused(documents):
    (documents / "other.json").write_text(json.dumps({"rows": [row("dance", True, 0.1)]}))
    with pytest.raises(ConfigError, match="no clip in common"):
        EvalCompare(evaluations=(f"{documents}/mujoco.json", f"{documents}/other.json"))()
    with pytest.raises(ConfigError, match="at least two"):
        EvalCompare(evaluations=(f"{documents}/mujoco.json",))()
    (documents / "no.json").write_text("[]")
    with pytest.raises(ConfigError, match="no --json document"):
        EvalCompare(evaluations=(f"{documents}/mujoco.json", f"{documents}/no.json"))()


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("a={}/mujoco.json", "a={}/newton.json", "label 'a' is given twice"),
        ("{}/mujoco.json", "{}/mujoco.json", "label 'mujoco' is given twice"),
        ("clips={}/mujoco.json", "{}/newton.json", "label 'clips' is a key of the result"),
        ("seconds={}/mujoco.json", "{}/newton.json", "label 'seconds' is a key of the result"),
        ("={}/mujoco.json", "{}/newton.json", "write LABEL=FILE"),
        (" ={}/mujoco.json", "{}/newton.json", "write LABEL=FILE"),
        ("a=", "{}/newton.json", "write LABEL=FILE"),
    ],
)
def test_labels_that_cannot_stand_in_a_table_are_refused(documents, first, second, said):
    with pytest.raises(ConfigError, match=said) as raised:
        EvalCompare(evaluations=(first.format(documents), second.format(documents)))()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("duel", [{}, {"walk": {}}], ids=["names differ", "one name"])
def test_a_document_in_which_two_policies_play_a_clip_is_no_column(documents, duel):
    names = ("tracker.onnx", "tracker.onnx" if duel else "expert.onnx")
    rows = [row("walk", True, 0.02, policy=names[0]), row("walk", False, 0.04, policy=names[1])]
    (documents / "both.json").write_text(json.dumps({"rows": rows, "summary": {"duel": duel}}))
    with pytest.raises(ConfigError, match=r"both\.json: several policies play walk .*--experts ignore"):
        EvalCompare(evaluations=(f"{documents}/both.json", f"{documents}/newton.json"))()


def test_a_document_in_which_experts_play_their_own_clips_is_one_column(documents):
    rows = [row("walk", True, 0.02, policy="tracker.onnx"), row("kick", True, 0.04, policy="expert.onnx")]
    (documents / "use.json").write_text(json.dumps({"rows": rows, "summary": {"duel": {}}}))
    assert EvalCompare(evaluations=(f"{documents}/use.json", f"{documents}/newton.json"))() == 0


def test_a_robot_that_drifts_is_off_in_the_world_and_not_in_itself():
    root, quat = np.tile([0.0, 0.0, 0.76], (5, 1)), np.tile([1.0, 0.0, 0.0, 0.0], (5, 1))
    frame = MotionReference(clip_from_qpos("a", root, quat, np.tile(G1.default_joint_pos, (5, 1)), 50.0)).frame(2)
    truth = GroundTruth(
        joint_pos=frame.joint_pos + 0.1,
        joint_vel=frame.joint_vel + 0.5,
        body_pos_w=frame.body_pos_w + [0.3, 0.4, 0.0],
        body_quat_w=frame.body_quat_w,
        body_lin_vel_w=frame.body_lin_vel_w + [0.0, 0.2, 0.0],
        body_ang_vel_w=frame.body_ang_vel_w,
        time=0.0,
    )
    errors = tracking_errors(truth, frame, Terminations())
    assert errors.mpkpe_global == pytest.approx(0.5)
    assert errors.mpkpe_root == pytest.approx(0.0, abs=1e-9) and errors.body == pytest.approx(0.0, abs=1e-9)
    assert (errors.joint, errors.joint_velocity) == (pytest.approx(0.1), pytest.approx(0.5))
    assert errors.body_velocity == pytest.approx(0.2)
