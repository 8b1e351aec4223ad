"""Training and export on a full disk: one clear line, the older file as it was, nothing beside it."""

import contextlib
import os
import sys
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")
resource = pytest.importorskip("resource", reason="limits of a process are for POSIX")

from diffusion_data import STEPS, rollouts  # noqa: E402

from bm_core.errors import ConfigError  # noqa: E402
from bm_sim2real.cli import guarded  # noqa: E402
from bm_training.diffusion.rollout_file import RolloutWriter, load_rollouts  # noqa: E402
from bm_training.sampling import AdaptiveSampler, AdaptiveSamplerConfig  # noqa: E402
from bm_training.sampling.bin_history import BinHistory, bin_axis, read_bin_history  # noqa: E402
from bm_training.tracking.checkpoint import CheckpointFolder, load_checkpoint  # noqa: E402
from bm_training.tracking.training_log import TrainingLog, start_wandb  # noqa: E402


@contextlib.contextmanager
def full_disk():
    """No file may grow beyond 64 bytes: a real write that fails in the kernel, without any rights."""
    # A module that is first imported now would leave half of its bytecode, which Python 3.11 then fails on for good.
    keeps_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = keeps_none


@pytest.mark.parametrize("name", ["best.pt", "environment_0.pt", "model_000007.pt"])
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(name, tmp_path):
    folder = CheckpointFolder(run_dir=tmp_path)
    save = {
        "best.pt": folder.save_best,
        "environment_0.pt": lambda state: folder.save_environment(state, 0),
        "model_000007.pt": lambda state: folder.save(state, 7),
    }[name]
    save({"format": 1, "weights": torch.ones(1000)})
    with full_disk(), pytest.raises(ConfigError, match=rf"{name}: cannot be written: .*; make room"):
        save({"format": 1, "weights": torch.zeros(1000)})
    assert float(load_checkpoint(folder.folder / name, "cpu")["weights"].sum()) == 1000.0
    assert [file.name for file in folder.folder.iterdir()] == [name]


def test_a_shard_that_cannot_be_written_leaves_the_collection_as_it_was(tmp_path):
    writer = RolloutWriter(tmp_path, steps=STEPS, sources=["walk"], provenance={})
    writer.write_shard(rollouts(2), seed=0)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with (
        full_disk(),
        pytest.raises(ConfigError, match=r"shard_00001\.h5: cannot be written: .*; make room"),
    ):
        writer.write_shard(rollouts(2, seed=1), seed=1)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert load_rollouts(tmp_path)[1].episodes == 2
    writer.write_shard(rollouts(2, seed=1), seed=1)  # and goes on when there is room
    assert load_rollouts(tmp_path)[1].episodes == 4


def test_a_training_whose_log_has_no_room_ends_with_one_line(tmp_path, capsys):
    def train():
        log = TrainingLog(tmp_path / "run", lambda line: None)
        with full_disk():
            for iteration in range(3):  # the first line still finds some room
                log.write(iteration, {"reward/total": 0.5, "sampler/entropy": 1.0})
        return 0

    assert guarded(train) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_half_a_line_of_a_full_disk_costs_that_line_only(tmp_path):
    sampler = AdaptiveSampler(AdaptiveSamplerConfig(), [101, 51], [1.0, 1.0], 50.0, torch.Generator(), ["walk", "kick"])
    history = BinHistory(tmp_path, bin_axis(sampler))
    for _ in range(3):
        sampler.end_iteration()
        history.add(sampler.snapshot())
    file = tmp_path / "bins.jsonl"
    head, *snapshots = file.read_text().splitlines()
    file.write_text("\n".join([head, snapshots[0], snapshots[1][:20], snapshots[2]]) + "\n")
    axis, read = read_bin_history(tmp_path)
    assert axis.names == ("walk", "kick")
    assert [snapshot.iteration for snapshot in read] == [1, 3]


def test_wandb_without_a_network_is_one_line_with_the_way_out(tmp_path, monkeypatch):
    def init(**_):
        raise OSError(101, os.strerror(101))

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    with pytest.raises(ConfigError, match=r"W&B does not begin \(.*unreachable\); WANDB_MODE=offline") as raised:
        start_wandb("project", tmp_path)
    assert "\n" not in str(raised.value)
