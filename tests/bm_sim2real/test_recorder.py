"""Recordings: every control step, whole, in both formats; errors reach the caller."""

import json

import h5py
import numpy as np
import pytest

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_sim2real.recorder import Recorder


def record(standing, balancer, path, periods):
    robot, loop = standing()
    recorder = Recorder(path, balancer.contract)
    loop._listener = recorder
    seen = []
    for step in range(periods):
        if step == periods - 2:
            loop.machine.estop("operator")
        seen.append(robot.read().joint_pos)
        loop.step()
    recorder.close(loop.notes())
    return np.array(seen)


def read(path):
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: arrays[name] for name in arrays.files if name != "info"}, json.loads(str(arrays["info"]))
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file}, json.loads(file.attrs["info"])


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_every_control_step_is_there_across_chunks(standing, balancer, tmp_path, suffix):
    path = tmp_path / f"run{suffix}"
    seen = record(standing, balancer, path, 260)  # a chunk is 250
    rows, info = read(path)
    assert rows["joint_pos"] == pytest.approx(seen)
    assert rows["time"] == pytest.approx(0.02 * np.arange(260))
    assert rows["observation"].shape == (260, 154) and rows["action"].shape == (260, 29)
    assert list(rows["frame"][:3]) == [1, 2, 3]
    assert info["joint_names"] == list(G1.joint_names)
    assert info["contract"]["training"]["run"] == "balancer"


def test_targets_are_what_the_network_asked_for_and_the_stop_is_in_it(standing, balancer, tmp_path):
    path = tmp_path / "run.npz"
    record(standing, balancer, path, 20)
    rows, info = read(path)
    asked = G1.default_joint_pos + G1.action_scale * rows["action"][:18]
    assert rows["target"][:18] == pytest.approx(asked)
    assert rows["written_q"][:18] == pytest.approx(asked)
    assert np.isnan(rows["action"][18:]).all() and not rows["written_kp"][18:].any()
    assert [info["modes"][mode] for mode in rows["mode"][17:]] == ["stand", "damping", "damping"]
    assert "estop" in info["fault"]


def test_an_unknown_suffix_is_refused(balancer, tmp_path):
    with pytest.raises(ConfigError, match=r"\.h5 or \.npz"):
        Recorder(tmp_path / "run.txt", balancer.contract)


def test_a_place_that_cannot_be_written_is_refused_before_the_run(balancer, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        Recorder(tmp_path / "file" / "run.h5", balancer.contract)


def test_what_goes_wrong_in_the_thread_is_raised_at_close(standing, balancer, tmp_path, monkeypatch):
    def full(self, columns):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bm_sim2real.recorder._HdfSink.append", full)
    with pytest.raises(ConfigError, match="No space left"):
        record(standing, balancer, tmp_path / "run.h5", 5)


def test_an_npz_that_cannot_be_written_is_kept_among_the_temporary_files(standing, balancer, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    folder = tmp_path / "folder"
    folder.mkdir()
    savez = np.savez_compressed

    def full_there(path, **arrays):
        if path.parent == folder:
            raise OSError(28, "No space left on device")
        savez(path, **arrays)

    monkeypatch.setattr(np, "savez_compressed", full_there)
    with pytest.raises(
        ConfigError, match=r"run\.npz: cannot be written: No space left.*is kept in (.*)run\.npz$"
    ) as told:
        record(standing, balancer, folder / "run.npz", 5)
    (kept,) = (tmp_path / "temporary").rglob("run.npz")
    rows, info = read(kept)
    assert str(told.value).endswith(str(kept)) and list(folder.iterdir()) == []
    assert len(rows["time"]) == 5 and "contract" in info


def test_an_npz_that_can_be_written_nowhere_is_one_line(standing, balancer, tmp_path, monkeypatch):
    def full(path, **arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(ConfigError, match=r"run\.npz: cannot be written.*the recording is lost"):
        record(standing, balancer, tmp_path / "run.npz", 5)
