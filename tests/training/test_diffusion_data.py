"""Rollout files, windows cut out of them, and torch twins of bm_core's features."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
h5py = pytest.importorskip("h5py")

from diffusion_data import STEPS, rollouts, windows  # noqa: E402

from bm_core.diffusion.layout import TokenLayout  # noqa: E402
from bm_core.diffusion.mirror import action_mirror, state_mirror  # noqa: E402
from bm_core.diffusion.state import StateRepresentation, encode_states  # noqa: E402
from bm_core.diffusion.trajectory import RobotTrajectory  # noqa: E402
from bm_core.errors import ConfigError  # noqa: E402
from bm_core.g1 import G1  # noqa: E402
from bm_core.kinematics import g1_kinematics  # noqa: E402
from bm_core.rotations import quat_normalize  # noqa: E402
from bm_training.diffusion.kinematics import forward_kinematics, link_velocities  # noqa: E402
from bm_training.diffusion.rollout_file import RolloutWriter, load_rollouts, read_manifest  # noqa: E402
from bm_training.diffusion.windows import TorchMirror, Windows, split_episodes  # noqa: E402

torch.set_num_threads(1)


def writer(folder, **changes):
    settings = {"steps": STEPS, "sources": ["squat"], "provenance": {"teacher": "none"}, **changes}
    return RolloutWriter(folder, **settings)


def test_torch_kinematics_equal_bm_core():
    rng, tree = np.random.default_rng(0), g1_kinematics()
    root_pos, root_quat = rng.normal(size=(50, 3)), quat_normalize(rng.normal(size=(50, 4)))
    joint_pos, velocities = rng.uniform(G1.lower, G1.upper, size=(50, 29)), rng.normal(size=(50, 35))
    parts = velocities[:, :3], velocities[:, 3:6], velocities[:, 6:]
    expected = tree.forward(root_pos, root_quat, joint_pos)
    pos, quat = forward_kinematics(tree, *(torch.as_tensor(value) for value in (root_pos, root_quat, joint_pos)))
    assert np.abs(pos.numpy() - expected[0]).max() < 1e-12
    assert np.abs(quat.numpy() - expected[1]).max() < 1e-12
    lin = link_velocities(tree, *(torch.as_tensor(value) for value in parts), pos, quat)
    assert np.abs(lin.numpy() - tree.velocities(*parts, *expected)[0]).max() < 1e-12


@pytest.mark.parametrize("representation", list(StateRepresentation))
@pytest.mark.parametrize("steps_per_token", [1, 2])
def test_windows_hold_the_states_of_bm_core(representation, steps_per_token):
    layout, data = TokenLayout(steps_per_token=steps_per_token), rollouts()
    cut = windows(representation, layout)
    per_episode = STEPS - layout.window_steps + 1
    assert len(cut) == 6 * per_episode
    episode, offset = 2, 7
    batch = cut.take(torch.tensor([episode * per_episode + offset]))
    present = layout.present * steps_per_token + offset
    root = data.root[episode].astype(float)
    states = RobotTrajectory.from_joints(
        root[:, :3],
        quat_normalize(root[:, 3:7]),
        root[:, 7:10],
        root[:, 10:],
        data.joint_pos[episode].astype(float),
        data.joint_vel[episode].astype(float),
    ).take(present + layout.state_offsets)
    expected = encode_states(states, states.present(4), representation)
    assert np.abs(batch.states[0].numpy() - expected).max() < 2e-4
    steps = present + layout.action_offsets
    applied, label = data.action_applied[episode][steps], data.action_label[episode][steps]
    both = np.concatenate([applied[:4], label[4:]]).reshape(21, layout.action_width)
    assert np.array_equal(batch.actions[0].numpy(), both.astype(np.float32))
    assert not np.array_equal(applied[:4], label[:4])


def test_only_the_chosen_windows_are_mirrored():
    batch = windows().take(torch.tensor([1, 30]))
    mirrors = state_mirror(), action_mirror(TokenLayout())
    mirrored = batch.mirrored(torch.tensor([False, True]), *(TorchMirror(mirror, "cpu") for mirror in mirrors))
    assert torch.equal(mirrored.states[0], batch.states[0]) and torch.equal(mirrored.actions[0], batch.actions[0])
    assert np.allclose(mirrored.states[1].numpy(), mirrors[0](batch.states[1].numpy()))
    assert np.allclose(mirrored.actions[1].numpy(), mirrors[1](batch.actions[1].numpy()))
    assert not torch.allclose(mirrored.states[1], batch.states[1], atol=1e-3)


def test_episodes_shorter_than_a_window_are_refused():
    with pytest.raises(ConfigError, match="60 frames are shorter than a window of 63"):
        Windows(rollouts(), np.arange(2), TokenLayout(steps_per_token=3), StateRepresentation.BODY_POS, "cpu")


def test_no_window_has_a_push_in_its_future():
    data = rollouts()
    jolted = np.zeros_like(data.jolted)
    jolted[1, 30] = 1  # the frame after the push
    cut = Windows(
        dataclasses.replace(data, jolted=jolted), np.arange(2), TokenLayout(), StateRepresentation.BODY_POS, "cpu"
    )
    # Presents 8..26; the last state is 32 frames ahead of the present, so -2..29 would see frame 30.
    assert len(cut) == 19 and int(cut._present.max()) == 26
    jolted[1] = 0
    jolted[1, 20] = 1
    cut = Windows(
        dataclasses.replace(data, jolted=jolted), np.arange(2), TokenLayout(), StateRepresentation.BODY_POS, "cpu"
    )
    assert (cut._present[19:] - STEPS).tolist() == list(range(20, 27))


def test_split_is_by_episode_complete_and_repeatable():
    kept, held_out = split_episodes(100, 0.05, seed=3)
    assert len(held_out) == 5 and sorted([*kept, *held_out]) == list(range(100))
    assert np.array_equal(held_out, split_episodes(100, 0.05, seed=3)[1])
    assert not np.array_equal(held_out, split_episodes(100, 0.05, seed=4)[1])
    assert [len(part) for part in split_episodes(2, 0.0, seed=0)] == [1, 1]


def test_what_is_written_is_read_back_with_its_manifest(tmp_path):
    data = writer(tmp_path)
    data.write_shard(rollouts(4, seed=0), seed=10)
    data.write_shard(rollouts(3, seed=1), seed=11)
    manifest, read = load_rollouts(tmp_path)
    assert (manifest.episodes, [shard.seed for shard in manifest.shards]) == (7, [10, 11])
    assert manifest.hours == pytest.approx(7 * STEPS / 50 / 3600)
    expected = np.concatenate([rollouts(4, seed=0).root, rollouts(3, seed=1).root])
    assert np.array_equal(read.root, expected) and read.root.dtype == np.float32
    assert read.joint_pos.dtype == np.float16
    assert "network units" in manifest.units["action_label"]
    with h5py.File(tmp_path / "shard_00000.h5") as file:
        assert file["joint_vel"].attrs["unit"] == "rad/s"


def test_collection_is_continued_and_unfinished_files_are_dropped(tmp_path):
    writer(tmp_path).write_shard(rollouts(4), seed=10)
    (tmp_path / "shard_00001.h5").write_bytes(b"cut off before the manifest")
    again = writer(tmp_path)
    assert again.num_shards == 1 and not (tmp_path / "shard_00001.h5").exists()
    again.write_shard(rollouts(3, seed=1), seed=11)
    assert load_rollouts(tmp_path)[0].episodes == 7
    assert writer(tmp_path, provenance={"teacher": "none", "commit": "a later one"}).num_shards == 2
    with pytest.raises(ConfigError, match="other provenance"):
        writer(tmp_path, provenance={"teacher": "another"})


def test_damaged_or_foreign_data_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no data set there"):
        load_rollouts(tmp_path)
    writer(tmp_path).write_shard(rollouts(4), seed=10)
    shard, manifest = tmp_path / "shard_00000.h5", tmp_path / "manifest.json"
    content, text = shard.read_bytes(), manifest.read_text()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ConfigError, match="not the file that the manifest names"):
        load_rollouts(tmp_path)
    shard.write_bytes(content)
    names = json.loads(text)["joint_names"]
    manifest.write_text(json.dumps({**json.loads(text), "joint_names": names[::-1]}))
    with pytest.raises(ConfigError, match="other joints"):
        read_manifest(tmp_path)
    manifest.write_text("{}")
    with pytest.raises(ConfigError, match="not a manifest"):
        read_manifest(tmp_path)


def test_wrong_shapes_and_wild_numbers_are_not_written(tmp_path):
    data = rollouts(3)
    with pytest.raises(ConfigError, match="rollouts.joint_pos has shape"):
        writer(tmp_path).write_shard(dataclasses.replace(data, joint_pos=data.joint_pos[:, :, :28]), seed=0)
    wild = data.joint_vel.astype(np.float32)
    wild[2, 5, 3] = 1e6
    with pytest.raises(ConfigError, match="joint_vel: episode 2"), np.errstate(over="ignore"):
        writer(tmp_path).write_shard(dataclasses.replace(data, joint_vel=wild), seed=0)
    assert not list(tmp_path.glob("*.h5"))
