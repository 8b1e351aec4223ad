"""Motion similarity: a clip inside another, mirrored, turned and moved ones; which one is redundant."""

import json

import numpy as np
import pytest

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos, save_clip
from bm_core.rotations import quat_from_yaw, quat_rotate
from bm_training.motions.similar import SimilarMotions
from bm_training.motions.similarity import similarity


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
    # 2.7 m/s in units of 0.5 m/s, one axis of three, one block of six
    assert result.distance[0, 4] == pytest.approx(2.7 / 0.5 / np.sqrt(18.0), rel=0.05)


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
