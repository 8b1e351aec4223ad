"""Motions by registry name: the local copy comes first, a missing one names the folder, wandb is asked last."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos, save_clip
from bm_training.motions.registry import parse_registry_name, parse_registry_names, resolve
from bm_training.tracking.clip_options import ClipOptions


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
    assert resolve(parse_registry_names("lab/motions/kick:v3, lab/motions/walk"), tmp_path) == [first, second]


def test_a_missing_motion_without_wandb_names_the_folder_to_fill(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"wandb is not installed; put its motion file into .*lab/motions/kick/v3"):
        resolve(parse_registry_names("lab/motions/kick:v3"), tmp_path)


def test_a_missing_motion_is_downloaded_once(tmp_path, monkeypatch):
    asked = []

    def artifact(name):
        asked.append(name)
        return SimpleNamespace(download=lambda root: write_clip(Path(root) / "motion.npz"))

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(Api=lambda: SimpleNamespace(artifact=artifact)))
    for _ in range(2):
        (file,) = resolve(parse_registry_names("lab/motions/kick:v3"), tmp_path)
    assert (file.name, asked) == ("motion.npz", ["lab/motions/kick:v3"])


def test_a_server_that_refuses_is_one_line(tmp_path, monkeypatch):
    def api():
        raise RuntimeError("no network")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(Api=api))
    with pytest.raises(ConfigError, match=r"W&B does not give it \(no network\)"):
        resolve(parse_registry_names("lab/motions/kick:v3"), tmp_path)


def test_clips_of_a_registry_have_the_names_of_their_motions(tmp_path, monkeypatch):
    monkeypatch.setenv("BM_REGISTRY", str(tmp_path))
    for place in ("lab/motions/kick/v3", "lab/motions/kick/latest", "lab/motions/walk/latest"):
        write_clip(tmp_path / place / "motion.npz")  # as whole_body_tracking names every one
    two = ClipOptions(registry_name="lab/motions/kick, lab/motions/walk").load()
    assert ([clip.name for clip in two.clips], two.name) == (["kick", "walk"], "kick+walk")
    three = ClipOptions(registry_name="lab/motions/kick,lab/motions/walk,lab/motions/kick:v3").load()
    assert [clip.name for clip in three.clips] == ["kick_latest", "walk", "kick_v3"]


def test_a_motion_of_two_collections_gets_their_names(tmp_path, monkeypatch):
    monkeypatch.setenv("BM_REGISTRY", str(tmp_path))
    for place in ("lab/a/kick/latest", "lab/b/kick/latest"):
        write_clip(tmp_path / place / "motion.npz")
    loaded = ClipOptions(registry_name="lab/a/kick,lab/b/kick").load()
    assert [clip.name for clip in loaded.clips] == ["a_kick_latest", "b_kick_latest"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("", "--registry-name: nothing is named"),
        (" , ", "--registry-name: nothing is named"),
        ("lab/motions/kick,", "--registry-name lab/motions/kick,: part 2 is empty"),
        ("lab/motions/kick,lab/motions/kick:latest", "lab/motions/kick:latest is named twice"),
        ("o/c/m_a:b,o/c/m:a_b,p/c/m_a:b,p/c/m:a_b", "another clip is called o_c_m_a_b, too"),
    ],
)
def test_empty_and_repeated_names_are_refused(names, said, tmp_path, monkeypatch):
    monkeypatch.setenv("BM_REGISTRY", str(tmp_path))
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=said):
        ClipOptions(registry_name=names).load()


@pytest.mark.parametrize("motions", ["", " ", ",", "kick.npz,", ",kick.npz", "kick.npz, ,walk.npz"])
def test_an_empty_part_of_motions_is_not_the_present_folder(motions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("kick", "walk", "never_asked_for"):
        write_clip(tmp_path / f"{name}.npz")
    with pytest.raises(ConfigError, match="--motions.*(nothing is named|part . is empty)"):
        ClipOptions(motions=motions).load()


def test_blanks_around_the_parts_of_motions_do_not_count_and_like_names_are_told_with_their_files(tmp_path):
    write_clip(tmp_path / "a" / "kick.npz")
    write_clip(tmp_path / "b" / "kick.npz")
    assert len(ClipOptions(motions=f" {tmp_path}/a/kick.npz ").load().clips) == 1
    with pytest.raises(ConfigError, match=r"a/kick\.npz and .*b/kick\.npz are both named kick"):
        ClipOptions(motions=f"{tmp_path}/a/kick.npz, {tmp_path}/b/kick.npz").load()
