"""bm motion generate: streams, standing, stops, as clips in a folder."""

import json

import numpy as np
import pytest

from bm_core.data import shipped
from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.locomotion.config import GaitConfig
from bm_core.motion import find_clips, load_clip
from bm_training.motions.locomotion.clips import STOP_SPEEDS, plan_streams, stop_clips
from bm_training.motions.locomotion.commands import Generate
from bm_training.motions.locomotion.streams import StreamConfig, sample_command, sample_stream


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("generated")
    assert Generate(out=out, minutes=0.4, num=2, seed=5, stop_phases=0)() == 0
    return out


def test_clips_say_what_they_are(folder):
    for path in find_clips(folder):
        clip = load_clip(path)
        assert dict(clip.meta) == {"source": "generated", "licence": "Apache-2.0", "made_by": "bm motion generate"}
    assert [path.name for path in find_clips(folder)] == ["stand.npz", "stream_s5_000.npz", "stream_s5_001.npz"]


def test_manifest_lists_every_clip_and_the_recipe(folder):
    manifest = json.loads((folder / "generated.json").read_text())
    assert manifest["seed"] == 5 and manifest["gait"]["swing_frames"] == 18
    assert {entry["file"] for entry in manifest["clips"]} == {path.name for path in find_clips(folder)}
    assert sum(entry["seconds"] for entry in manifest["clips"]) == pytest.approx(24 + 10, abs=0.1)


def test_equal_seeds_give_equal_bytes_and_others_do_not(folder, tmp_path):
    again, other = tmp_path / "again", tmp_path / "other"
    Generate(out=again, minutes=0.4, num=2, seed=5, stand=False, stop_phases=0)()
    Generate(out=other, minutes=0.4, num=2, seed=6, stand=False, stop_phases=0)()
    first = (folder / "stream_s5_000.npz").read_bytes()
    assert (again / "stream_s5_000.npz").read_bytes() == first
    assert (other / "stream_s6_000.npz").read_bytes() != first


def test_stand_is_still_with_flat_feet(folder):
    stand = load_clip(folder / "stand.npz")
    assert stand.duration == pytest.approx(10.0)
    assert np.abs(stand.joint_vel).max() < 1e-3
    ankles = stand.body_pos_w[:, [G1.body_index["left_ankle_roll_link"], G1.body_index["right_ankle_roll_link"]], 2]
    assert ankles == pytest.approx(np.full_like(ankles, 0.035), abs=1e-4)


def test_sixty_minutes_are_planned_in_streams_of_20_to_60_s():
    lengths = np.array([plan.num_frames for plan in plan_streams(60.0, None, 0)]) / 50.0
    assert lengths.sum() == pytest.approx(3600.0, abs=20.0)
    assert lengths.min() >= 20.0 and lengths.max() <= 60.0


def test_commands_change_every_one_to_four_seconds_and_end_in_standing():
    gait = GaitConfig()
    for seed in range(5):
        commands, _ = sample_stream(2000, np.random.default_rng(seed), StreamConfig(), gait)
        changes = np.flatnonzero(np.abs(np.diff(commands, axis=0)).max(1)) + 1
        spans = np.diff(changes) / 50.0
        assert spans.min() >= 0.98 and np.median(spans) < 4.02
        assert (commands[:30] == 0.0).all() and (commands[-150:] == 0.0).all()


def test_commands_cover_the_speeds_and_leave_no_kind_out():
    rng = np.random.default_rng(0)
    commands = np.array([sample_command(rng, StreamConfig(), GaitConfig()) for _ in range(4000)])
    assert commands.min(0) == pytest.approx([-0.6, -0.4, -1.0], abs=0.05)
    assert commands.max(0) == pytest.approx([1.2, 0.4, 1.0], abs=0.05)
    assert (np.linalg.norm(commands / np.where(commands < 0, [0.6, 0.4, 1.0], [1.2, 0.4, 1.0]), axis=1) <= 1.001).all()
    moving = np.abs(commands) > 0.01
    for kind in ([1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 0, 0]):
        assert (moving == np.array(kind, bool)).all(1).mean() > 0.05
    forward = commands[(commands[:, 0] != 0.0), 0]
    assert 0.2 < (forward < 0.0).mean() < 0.45


def test_stops_and_turns_come_as_often_as_asked_for():
    rng, config = np.random.default_rng(0), StreamConfig(stop_share=0.4, turn_share=0.35)
    moving = np.abs([sample_command(rng, config, GaitConfig()) for _ in range(4000)]) > 1e-6
    is_stop, is_turn = (~moving).all(1), (moving == [False, False, True]).all(1)
    assert (is_stop.mean(), is_turn.mean()) == pytest.approx((0.4, 0.35), abs=0.03)
    only = StreamConfig(stop_share=0.0, turn_share=1.0)
    assert all(sample_command(rng, only, GaitConfig())[2] != 0.0 for _ in range(50))


def test_stops_come_from_every_velocity_without_a_jump():
    clips = list(stop_clips(GaitConfig(), 1))
    assert len({clip.name for clip in clips}) == len(STOP_SPEEDS) == 10
    for clip in clips:
        assert 4.0 < clip.duration < 7.0
        assert np.abs(clip.joint_vel[-1]).max() < 0.01
        assert np.abs(clip.joint_vel[5]).max() > 0.5  # it begins in mid-walk
        assert np.abs(np.diff(clip.joint_pos, axis=0)).max() * 50.0 < 14.0  # rad/s, also across the seam


@pytest.mark.parametrize("shares", [(-0.1, 0.2), (0.7, 0.4)])
def test_impossible_shares_of_commands_are_refused(shares):
    with pytest.raises(ConfigError, match="1 together at most"):
        StreamConfig(stop_share=shares[0], turn_share=shares[1])


@pytest.mark.parametrize(
    "options, message",
    [({"minutes": -1.0}, "minutes"), ({"num": 0}, "num"), ({"minutes": 0.05, "num": 1}, "too short")],
)
def test_bad_options_are_refused_and_nothing_is_written(options, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        Generate(out=tmp_path / "out", stand=False, stop_phases=0, **options)()
    assert not (tmp_path / "out").exists()


def test_shipped_streams_cover_the_command_box():
    streams = [path for path in find_clips(shipped("motions")) if path.name.startswith("stream_")]
    assert 6 <= len(streams) <= 8
    velocity = []
    for path in streams:
        clip = load_clip(path)
        assert path.stat().st_size < 1_200_000
        assert 20.0 <= clip.duration <= 30.0
        rotation = clip.body_quat_w[:, 0]
        yaw = np.arctan2(2 * (rotation[:, 0] * rotation[:, 3]), 1 - 2 * rotation[:, 3] ** 2)
        world = clip.body_lin_vel_w[:, 0]
        ahead = np.cos(yaw) * world[:, 0] + np.sin(yaw) * world[:, 1]
        left = np.cos(yaw) * world[:, 1] - np.sin(yaw) * world[:, 0]
        mean = np.ones(44) / 44.0  # a stride: without the sway
        values = (ahead, left, clip.body_ang_vel_w[:, 0, 2])
        velocity.append(np.stack([np.convolve(v, mean, "valid") for v in values], -1))
    velocity = np.concatenate(velocity)
    assert (velocity.max(0) > [1.0, 0.25, 0.7]).all()
    assert (velocity.min(0) < [-0.4, -0.25, -0.7]).all()
