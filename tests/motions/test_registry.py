"""Motions by registry name: the local copy comes first, a missing one names the folder, wandb is asked last."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos, save_clip
from bm_training.motions.registry import parse_registry_name, resolve


def write_clip(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pose, quat = np.tile(G1.default_joint_pos, (20, 1)), np.tile([1.0, 0.0, 0.0, 0.0], (20, 1))
    save_clip(clip_from_qpos("kick", np.tile([0.0, 0.0, 0.76], (20, 1)), quat, pose, 50.0), file)
    return file


def test_a_name_without_alias_means_latest():
    name = parse_registry_name("lab/motions/kick")
    assert (name.artifact, name.folder(Path("r"))) == (
        "lab/motions/kick:latest",
        Path("r/lab/motions/kick/latest"),
    )


@pytest.mark.parametrize("text", ["kick", "lab/kick", "lab/motions/kick:", "lab/motions/ki ck"])
def test_other_texts_are_refused(text):
    with pytest.raises(ConfigError, match="org/collection/motion:alias"):
        parse_registry_name(text)


def test_local_copies_are_used_without_wandb(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    first = write_clip(tmp_path / "lab/motions/kick/v3/motion.npz")
    second = write_clip(tmp_path / "lab/motions/walk/latest/walk.npz")
    assert resolve("lab/motions/kick:v3, lab/motions/walk", tmp_path) == [first, second]


def test_a_missing_motion_without_wandb_names_the_folder_to_fill(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"wandb is not installed; put its motion file into .*lab/motions/kick/v3"):
        resolve("lab/motions/kick:v3", tmp_path)


def test_a_missing_motion_is_downloaded_once(tmp_path, monkeypatch):
    asked = []

    def artifact(name):
        asked.append(name)
        return SimpleNamespace(download=lambda root: write_clip(Path(root) / "motion.npz"))

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(Api=lambda: SimpleNamespace(artifact=artifact)))
    for _ in range(2):
        (file,) = resolve("lab/motions/kick:v3", tmp_path)
    assert (file.name, asked) == ("motion.npz", ["lab/motions/kick:v3"])


def test_a_server_that_refuses_is_one_line(tmp_path, monkeypatch):
    def api():
        raise RuntimeError("no network")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(Api=api))
    with pytest.raises(ConfigError, match=r"W&B does not give it \(no network\)"):
        resolve("lab/motions/kick:v3", tmp_path)
