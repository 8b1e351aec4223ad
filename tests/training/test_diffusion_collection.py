"""Collection without a simulator: action noise, what is kept, what was covered."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")

from bm_core.errors import ConfigError  # noqa: E402
from bm_core.g1 import G1  # noqa: E402
from bm_core.rotations import quat_from_yaw  # noqa: E402
from bm_training.diffusion.action_noise import ActionNoise, ActionNoiseConfig  # noqa: E402
from bm_training.diffusion.collect_info import CollectInfo, plot_cells  # noqa: E402
from bm_training.diffusion.coverage import coverage_of, gait_of, planar_velocity  # noqa: E402
from bm_training.diffusion.reanchoring import ReferenceTransform  # noqa: E402
from bm_training.diffusion.rollout_file import Rollouts, RolloutWriter  # noqa: E402
from bm_training.diffusion.window_keeper import KeeperConfig, WindowKeeper  # noqa: E402
from bm_training.tracking.motion_library import MotionFrames  # noqa: E402

torch.set_num_threads(1)
KNEE, WAIST = G1.joint_index["left_knee_joint"], G1.joint_index["waist_yaw_joint"]


def noise_of(robots=4000, **config):
    return ActionNoise(ActionNoiseConfig(**config), robots, torch.Generator().manual_seed(0))


def test_noise_has_its_spread_by_joint_group_and_a_fifth_is_clean():
    noise = noise_of(ladder=(1.0,))
    for _ in range(5):
        noise.step()
    is_clean = (noise.value == 0.0).all(1)
    assert float(is_clean.float().mean()) == pytest.approx(0.2, abs=0.03)
    spread = noise.value[~is_clean].std(0)
    assert float(spread[KNEE]) == pytest.approx(0.3, rel=0.05)
    assert float(spread[WAIST]) == pytest.approx(0.05, rel=0.05)


def test_noise_is_correlated_over_its_time_constant():
    noise = noise_of(time_constant=(0.15, 0.15), ladder=(1.0,), clean_share=0.0)
    before = noise.value[:, KNEE].clone()
    for _ in range(5):
        noise.step()
    # 5 steps of 20 ms: exp(-0.1 / 0.15).
    found = float(torch.corrcoef(torch.stack([before, noise.value[:, KNEE]]))[0, 1])
    assert found == pytest.approx(0.513, abs=0.04)


def frame_of(pos, quat, lin_vel):
    """A reference frame of R robots with one body."""
    pos, quat, lin_vel = (torch.tensor(values, dtype=torch.float64)[:, None] for values in (pos, quat, lin_vel))
    joints = torch.zeros(len(pos), 29)
    return MotionFrames(
        joint_pos=joints,
        joint_vel=joints,
        body_pos_w=pos,
        body_quat_w=quat,
        body_lin_vel_w=lin_vel,
        body_ang_vel_w=lin_vel,
    )


def test_reanchored_reference_lies_on_the_robot_in_the_plane_and_others_stay():
    transform = ReferenceTransform(2, "cpu")
    transform._turn, transform._shift = transform._turn.double(), transform._shift.double()
    quat = quat_from_yaw(np.array([0.3, 0.3]))
    raw = frame_of([[1.0, 2.0, 0.8]] * 2, quat, [[1.0, 0.0, 0.0]] * 2)
    robot = torch.tensor([[5.0, -1.0, 0.7]]).double(), torch.tensor(quat_from_yaw(np.array([0.3 + np.pi / 2])))
    # Twice, with another pose before: the second must not add to the first.
    for pose in ((robot[0] + 3.0, torch.tensor(quat_from_yaw(np.array([-2.0])))), robot):
        now = transform.frames(raw)
        transform.reanchor(torch.tensor([0]), pose, (now.body_pos_w[:1, 0], now.body_quat_w[:1, 0]))
    moved = transform.frames(raw)
    assert moved.body_pos_w[0, 0].tolist() == pytest.approx([5.0, -1.0, 0.8])
    assert abs(float(moved.body_quat_w[0, 0] @ robot[1][0])) == pytest.approx(1.0)
    assert moved.body_lin_vel_w[0, 0].tolist() == pytest.approx([0.0, 1.0, 0.0], abs=1e-9)
    assert torch.equal(moved.body_pos_w[1], raw.body_pos_w[1])
    transform.reset(torch.tensor([0]))
    assert torch.equal(transform.frames(raw).body_pos_w, raw.body_pos_w)


def test_only_the_robots_that_restart_get_new_noise():
    noise = noise_of(robots=50)
    before, factor = noise.value.clone(), noise.factor.clone()
    which = torch.arange(50) < 10
    noise.reset(which)
    assert torch.equal(noise.value[10:], before[10:]) and torch.equal(noise.factor[10:], factor[10:])
    assert not torch.equal(noise.value[:10], before[:10])
    assert set(noise.factor.flatten().tolist()) <= {0.0, 0.25, 0.5, 1.0}


def keep(keeper, steps, fell=(), timed_out=()):
    """Run two robots; frame t holds t everywhere. `fell`, `timed_out`: (step, robot) after which a rollout ends."""
    episodes = []
    for t in range(steps):
        frame = [torch.full((2, width), float(t)) for width in (13, 29, 29, 29, 29)]
        keeper.add(*frame, torch.tensor([t == 3, False]), torch.tensor([7, 8]))
        failed, over = (torch.tensor([(t, robot) in ends for robot in (0, 1)]) for ends in (fell, timed_out))
        episodes.append(keeper.advance(failed | over, failed))
    return [(t, found) for t, found in enumerate(episodes) if found is not None]


def test_an_episode_is_kept_only_after_it_was_survived():
    kept = keep(WindowKeeper(KeeperConfig(steps=5, survive=10), 2, 29, "cpu"), 12, fell={(8, 1)})
    ((step, episodes),) = kept
    assert step == 9 and episodes.episodes == 1
    assert episodes.root[0, :, 0].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert episodes.source.tolist() == [7]
    assert episodes.jolted[0, :, 0].tolist() == [0, 0, 0, 1, 0]


def test_a_rollout_is_cut_into_episodes_without_gaps():
    kept = keep(WindowKeeper(KeeperConfig(steps=5, survive=10), 2, 29, "cpu"), 21, fell={(8, 1)})
    found = [(step, part.root[:, 0, 0].tolist()) for step, part in kept]
    # Robot 0 starts at 0, robot 1 again at 9.
    assert found == [(9, [0.0]), (14, [5.0]), (18, [9.0]), (19, [10.0])]
    assert kept[1][1].root[0, :, 0].tolist() == [5.0, 6.0, 7.0, 8.0, 9.0]
    with pytest.raises(ConfigError, match="1..survive"):
        KeeperConfig(steps=6, survive=5)


def test_an_episode_that_is_due_survives_a_time_out_but_not_a_fall():
    config = KeeperConfig(steps=5, survive=10)
    assert len(keep(WindowKeeper(config, 2, 29, "cpu"), 10, timed_out={(9, 0), (9, 1)})) == 1
    assert keep(WindowKeeper(config, 2, 29, "cpu"), 10, fell={(9, 0), (9, 1)}) == []


def walk(velocity, yaw=0.7, frames=125):
    """Pelvis states of constant velocity (vx, vy, wz), (1, T, 13)."""
    root = np.zeros((1, frames, 13))
    heading = yaw + velocity[2] * 0.02 * np.arange(frames)
    root[0, :, 3:7] = quat_from_yaw(heading)
    root[0, :, 7] = np.cos(heading) * velocity[0] - np.sin(heading) * velocity[1]
    root[0, :, 8] = np.sin(heading) * velocity[0] + np.cos(heading) * velocity[1]
    root[0, :, 12] = velocity[2]
    return root


def test_velocity_is_seen_in_the_robots_own_frame():
    assert planar_velocity(walk((0.5, -0.1, 0.6))) == pytest.approx(np.tile([0.5, -0.1, 0.6], (1, 125, 1)), abs=1e-9)


def test_time_lands_in_the_cell_of_its_velocity():
    found = coverage_of(np.concatenate([walk((0.5, 0.1, 0.3)), walk((2.0, 0.0, 0.0))]))
    assert found.seconds.shape == (9, 4, 5)
    # vx -0.6 + 5 x 0.2 = 0.4..0.6; vy 0..0.2; wz 0.2..0.6.
    assert found.seconds[5, 2, 3] == pytest.approx(2.5) == found.seconds.sum()
    assert found.outside == pytest.approx(2.5)
    assert found.is_required[4, 1, 2] and not found.is_required[0, 0, 0]
    assert not found.is_enough


def test_changes_of_gait_are_counted_by_their_ends():
    assert gait_of([[0, 0, 0], [0.6, 0, 0], [0, 0, 0.6], [-0.4, 0, 0], [0, 0.3, 0]]).tolist() == [0, 1, 2, 3, -1]
    change = np.concatenate([walk((0.0, 0.0, 0.0), frames=60), walk((0.6, 0.0, 0.0), frames=65)], axis=1)
    found = coverage_of(change).transitions
    assert found[("stand", "walk")] == 1 and sum(found.values()) == 1 and len(found) == 12


def test_info_says_that_a_small_collection_is_not_enough(tmp_path, capsys):
    root = walk((0.5, 0.1, 0.3)).astype(np.float32)
    joints = np.zeros((1, 125, 29), dtype=np.float16)
    rollouts = Rollouts(
        root=root,
        joint_pos=joints,
        joint_vel=joints,
        action_label=joints,
        action_applied=joints,
        jolted=np.zeros((1, 125, 1), dtype=np.uint8),
        source=np.zeros(1, "i4"),
    )
    writer = RolloutWriter(tmp_path / "data", steps=125, sources=["stream"], provenance={})
    writer.write_shard(rollouts, seed=0)
    assert CollectInfo(folder=tmp_path / "data", json=tmp_path / "info.json")() == 1
    document = json.loads((tmp_path / "info.json").read_text())
    assert document["passed"] is False and document["summary"]["episodes"] == 1
    assert document["summary"]["poor_cells"] == document["summary"]["required_cells"] > 50
    assert "stand -> walk" in capsys.readouterr().out
    pytest.importorskip("matplotlib")
    plot_cells(coverage_of(root), tmp_path / "cells.png")
    assert (tmp_path / "cells.png").stat().st_size > 5000
