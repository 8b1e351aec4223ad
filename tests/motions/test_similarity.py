"""Motion similarity: a clip inside another, mirrored, turned and moved ones; which one is redundant."""

import json
from pathlib import Path

import numpy as np
import pytest

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos, load_clip, save_clip
from bm_core.rotations import quat_from_yaw, quat_rotate
from bm_training.motions.similar import SimilarMotions
from bm_training.motions.similarity import THRESHOLD, similarity

MOTIONS = Path(__file__).resolve().parents[2] / "motions"


def swaying(name, start=0.0, seconds=6.0, yaw=0.0, side="left", speed=0.3):
    """An arm swings, the pelvis moves forward; cut from one long motion."""
    t = start + np.arange(round(50 * seconds)) / 50.0
    joint_pos = np.tile(G1.default_joint_pos, (len(t), 1))
    joint_pos[:, G1.joint_index[f"{side}_shoulder_pitch_joint"]] += 1.2 * np.sin(0.5 * t * (1 + 0.1 * t))
    joint_pos[:, G1.joint_index["waist_yaw_joint"]] += 0.8 * np.sin(0.9 * t)
    root_pos = np.stack([speed * t, 0.0 * t, 0.76 + 0.1 * np.sin(0.7 * t)], axis=1)
    turn = quat_from_yaw(np.full(len(t), yaw))
    return clip_from_qpos(name, quat_rotate(turn, root_pos) + [5.0 * yaw, 0.0, 0.0], turn, joint_pos, 50.0)


@pytest.fixture(scope="module")
def result():
    clips = [swaying("whole"), swaying("part", start=2.0, seconds=2.0), swaying("turned", yaw=1.0)]
    return similarity([*clips, swaying("mirrored", side="right"), swaying("fast", speed=3.0)], threshold=0.1)


def test_a_part_lies_in_the_whole_and_not_the_other_way_round(result):
    assert result.covered[1, 0] > 0.95
    assert 0.3 < result.covered[0, 1] < 0.7
    assert np.all(np.diag(result.covered) == 1.0) and np.all(np.diag(result.distance) == 0.0)


def test_place_and_heading_do_not_count(result):
    assert result.covered[0, 2] == result.covered[2, 0] == 1.0
    assert result.distance[0, 2] < 1e-6


def test_another_arm_and_another_speed_do(result):
    assert result.covered[0, 3] < 0.5
    assert result.covered[0, 4] == 0.0
    # 2.7 m/s in units of 0.5 m/s
    assert result.distance[0, 4] == pytest.approx(2.7 / 0.5, rel=0.01)


def test_one_feature_is_enough_to_tell_frames_apart():
    slow, fast = similarity([swaying("slow", speed=0.0), swaying("fast", speed=0.5)]).distance[0]
    assert (slow, fast) == (0.0, pytest.approx(1.0, rel=0.01))


def test_walking_is_not_standing():
    stand = load_clip(MOTIONS / "stand.npz")
    for file in [MOTIONS / "walk.npz", *sorted(MOTIONS.glob("stream_*.npz")), *sorted(MOTIONS.glob("stop_*.npz"))]:
        found = similarity([stand, load_clip(file)])
        assert found.covered[1, 0] < 0.8, file.name


def test_turning_left_is_not_turning_right():
    turns = [load_clip(MOTIONS / f"stop_turn_{side}08_0.npz") for side in ("left", "right")]
    assert similarity(turns).redundant(0.9) == []


@pytest.mark.parametrize("name", ["walk", "run_loop", "dance", "stream_s2_006"])
def test_a_clip_that_is_cut_out_lies_in_the_whole_wherever_the_cut_is(name):
    whole = load_clip(MOTIONS / f"{name}.npz")
    for start in (0.3, 0.32, 0.34):
        found = similarity([whole, whole.slice(start, 0.7 * whole.duration)])
        assert found.covered[1, 0] == 1.0 and found.distance[1, 0] < 1e-5


def test_redundant_clips_stand_for_nobody(result):
    # The part and the turned copy lie in the whole; the whole lies in the copy, too, but has to stay.
    pairs = {result.names[i]: result.names[j] for i, j in result.redundant(0.95)}
    assert set(pairs) == {"part", "whole"} or set(pairs) == {"part", "turned"}
    assert not set(pairs) & set(pairs.values())


def test_one_clip_has_nothing_to_be_compared_with():
    with pytest.raises(ConfigError, match="at least two"):
        similarity([swaying("whole")])


def test_the_command_writes_the_table(tmp_path, capsys):
    for clip in (swaying("whole"), swaying("part", start=2.0, seconds=2.0), swaying("fast", speed=3.0)):
        save_clip(clip, tmp_path / f"{clip.name}.npz")
    out = tmp_path / "similar.json"
    command = SimilarMotions(paths=(tmp_path,), threshold=0.1, json=out, png=tmp_path / "similar.png")
    assert command() == 0
    document = json.loads(out.read_text())
    assert document["summary"]["redundant"] == [["part", "whole"]]
    assert [row["clip"] for row in document["rows"]] == ["fast", "part", "whole"]
    assert "lies in whole" in capsys.readouterr().out
    assert (tmp_path / "similar.png").read_bytes()[:4] == b"\x89PNG"


def test_the_command_has_the_threshold_that_was_measured():
    assert SimilarMotions().threshold == THRESHOLD


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": float("nan")}, "--threshold nan"),
        ({"threshold": -1.0}, "--threshold -1"),
        ({"redundant": float("nan")}, "--redundant nan"),
        ({"redundant": 2.0}, "--redundant 2"),
        ({"png": Path("pairs.pdf")}, r"--png pairs\.pdf: must end in \.png"),
    ],
)
def test_options_without_sense_are_refused_before_any_clip_is_read(options, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        SimilarMotions(paths=(tmp_path / "nowhere.npz",), **options)()
