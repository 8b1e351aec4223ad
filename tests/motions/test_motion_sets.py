"""Motion sets: what is refused, what a path means, what the fingerprint follows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bm_core.data import shipped_folder
from bm_core.errors import ClipError, ConfigError
from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos, save_clip
from bm_core.motion_set import known_motion_sets, load_clips, load_motion_set, motion_set_sha256
from bm_core.motion_set_document import read_set_document


def standing_clip(name="standing", knee=0.669, frames=101):
    joint_pos = np.tile(G1.default_joint_pos, (frames, 1))
    joint_pos[:, [G1.joint_index["left_knee_joint"], G1.joint_index["right_knee_joint"]]] = knee
    root_pos = np.tile([0.0, 0.0, 0.76], (frames, 1))
    root_quat = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1))
    return clip_from_qpos(name, root_pos, root_quat, joint_pos, 50.0)


@pytest.fixture(autouse=True)
def no_root_in_the_environment(monkeypatch):
    monkeypatch.delenv("BM_MOTIONS", raising=False)


@pytest.fixture
def folder(tmp_path):
    for name in ("stand_a", "stand_b", "kick"):
        save_clip(standing_clip(name), tmp_path / f"{name}.npz")
    return tmp_path


def write_set(folder: Path, motions: str, head: str = "name: tiny\ndescription: for the tests\n") -> Path:
    file = folder / "tiny.yaml"
    file.write_text(f"{head}motions:\n{motions}")
    return file


def test_paths_are_relative_to_the_file_and_values_arrive(folder):
    motions = load_motion_set(
        write_set(folder, "  - {path: kick.npz, weight: 2.5, start: 0.5, end: 1.5, role: stand}\n")
    )
    assert (motions.name, motions.description) == ("tiny", "for the tests")
    (entry,) = motions.entries
    assert entry.path == (folder / "kick.npz").resolve()
    assert (entry.weight, entry.start, entry.end, entry.role) == (2.5, 0.5, 1.5, "stand")
    ((clip, weight),) = load_clips(motions)
    assert (clip.name, clip.num_frames, weight) == ("kick@0.5-1.5", 51, 2.5)


def test_a_pattern_gives_every_match_its_weight_sorted_by_name(folder):
    entries = load_motion_set(write_set(folder, '  - {glob: "stand_*.npz", weight: 3}\n')).entries
    assert [(entry.path.stem, entry.weight) for entry in entries] == [("stand_a", 3.0), ("stand_b", 3.0)]


def test_a_shipped_clip_is_found_from_a_set_elsewhere(folder):
    (entry,) = load_motion_set(write_set(folder, "  - path: walk.npz\n")).entries
    assert entry.path == (shipped_folder("motions") / "walk.npz").resolve()
    assert entry.role == "locomotion"


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_the_placeholder_is_the_motion_root(folder, tmp_path_factory, monkeypatch, how):
    elsewhere = tmp_path_factory.mktemp("sets")
    file = write_set(elsewhere, '  - path: "${MOTIONS}/kick.npz"\n')
    if how == "environment":
        monkeypatch.setenv("BM_MOTIONS", str(folder))
    (entry,) = load_motion_set(file, motion_root=folder if how == "argument" else None).entries
    assert entry.path == (folder / "kick.npz").resolve()


def test_without_a_root_the_message_names_set_entry_and_remedy(folder):
    file = write_set(folder, '  - path: kick.npz\n  - path: "${MOTIONS}/csv/a.csv"\n')
    with pytest.raises(
        ConfigError, match=r"tiny: motions\[1\]: \$\{MOTIONS\}/csv/a.csv: .*--motion-root DIR.*BM_MOTIONS"
    ):
        load_motion_set(file)


@pytest.mark.parametrize(
    "motions, message",
    [
        ("  - path: missing.npz\n", r"motions\[0\]: missing.npz: no such file below"),
        ('  - glob: "x*.npz"\n', r"motions\[0\]: x\*.npz: no file matches below"),
        ("  - {path: kick.npz, wieght: 2}\n", "unknown key 'wieght'; known: path, glob, weight, start, end, role"),
        ("  - {path: kick.npz, weight: 0}\n", "weight = 0: must be > 0"),
        ("  - {path: kick.npz, weight: -1}\n", "weight = -1: must be > 0"),
        ("  - {path: kick.npz, weight: heavy}\n", "weight = 'heavy': a number expected"),
        ("  - {path: kick.npz, weight: .nan}\n", "weight = nan: a number expected"),
        ("  - {path: kick.npz, start: 2, end: 1}\n", "start = 2, end = 1: 0 <= start < end"),
        ("  - {path: kick.npz, role: walker}\n", "role = 'walker': must be stand, locomotion, other"),
        ("  - {path: kick.npz, glob: '*.npz'}\n", "needs either path or glob"),
        ("  - {path: kick.npz, path: stand_a.npz}\n", "key 'path' twice"),
        ("  - kick.npz\n", r"write it as \{path: FILE\}"),
        ("  - path: kick.npz\n  - path: kick.npz\n", r"motions\[1\]: kick.npz is in the set already"),
        ('  - path: kick.npz\n  - glob: "*.npz"\n', r"motions\[1\]: kick.npz is in the set already"),
        ("  - {path: kick.npz, end: 1.2}\n  - {path: kick.npz, start: 1.0}\n", "is in the set already"),
        ("  []\n", "motions must be a list"),
    ],
)
def test_a_faulty_entry_is_refused_in_one_line(folder, motions, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_motion_set(write_set(folder, motions))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "head, message",
    [
        (
            "name: tiny\ndescription: x\nauthor: me\n",
            "unknown key 'author'; known: name, description, include, motions",
        ),
        ("description: x\n", "name = None, a text expected"),
        ("name: tiny\ndescription: [\n", "not valid YAML"),
    ],
)
def test_a_faulty_head_is_refused(folder, head, message):
    with pytest.raises(ConfigError, match=message):
        load_motion_set(write_set(folder, "  - path: kick.npz\n", head))


def test_two_cuts_of_one_file_that_do_not_overlap_are_two_clips(folder):
    file = write_set(folder, "  - {path: kick.npz, end: 1.0}\n  - {path: kick.npz, start: 1.0}\n")
    assert [clip.name for clip, _ in load_clips(load_motion_set(file))] == ["kick@0-1", "kick@1-end"]


def test_two_files_of_one_name_are_refused(folder):
    (folder / "other").mkdir()
    save_clip(standing_clip("kick"), folder / "other" / "kick.npz")
    with pytest.raises(ConfigError, match="have one name"):
        load_motion_set(write_set(folder, "  - path: kick.npz\n  - path: other/kick.npz\n"))


def include_sets(folder, **sets):
    """A file for each: its text below name and description. The first one's path."""
    for name, text in sets.items():
        (folder / f"{name}.yaml").write_text(f"name: {name}\ndescription: for the tests\n{text}")
    return folder / f"{next(iter(sets))}.yaml"


def test_included_sets_come_first_and_what_the_set_says_of_their_files_counts(folder):
    (folder / "below").mkdir()
    save_clip(standing_clip("low"), folder / "below" / "low.npz")
    file = include_sets(
        folder,
        top="include: [below/base.yaml, single_motion_test]\nmotions:\n  - {path: kick.npz, weight: 9, start: 1}\n",
        **{"below/base": "motions:\n  - {path: low.npz, weight: 2}\n  - {path: ../kick.npz, weight: 3}\n"},
    )
    entries = load_motion_set(file).entries
    assert [(entry.clip_name, entry.weight) for entry in entries] == [
        ("low", 2.0),
        ("walk", load_motion_set("single_motion_test").entries[0].weight),
        ("kick@1-end", 9.0),
    ]


def test_a_set_may_be_nothing_but_others(folder):
    file = include_sets(folder, top="include: base.yaml\n", base="motions:\n  - path: kick.npz\n")
    assert [entry.clip_name for entry in load_motion_set(file).entries] == ["kick"]


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"top": "include: first_lite\n"}, "first_lite: no such motion set; shipped: all"),
        ({"top": "include: gone.yaml\n"}, "gone.yaml: no such motion set file"),
        ({"top": "include: 3\n"}, "include = 3: the name or file of a motion set expected"),
        ({"top": "include: []\n"}, "motions must be a list of entries"),
        ({"top": "include: top.yaml\n"}, "top: include top.yaml: top.yaml includes this set, or is it"),
        ({"top": "include: b.yaml\n", "b": "include: top.yaml\n"}, "b: include top.yaml: top.yaml includes this set"),
        (
            {
                "top": "include: [b.yaml, c.yaml]\n",
                "b": "motions:\n  - path: kick.npz\n",
                "c": "motions:\n  - path: kick.npz\n",
            },
            "top: include c.yaml: kick.npz is in the set already; name it here as well",
        ),
    ],
)
def test_an_include_that_cannot_be_is_refused_in_one_line(folder, sets, message):
    with pytest.raises(ConfigError) as caught:
        load_motion_set(include_sets(folder, **sets))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_fingerprint_follows_motion_weight_and_order_but_not_the_place(folder):
    clips = [(standing_clip("a"), 1.0), (standing_clip("b"), 1.0)]
    reference = motion_set_sha256(clips)
    assert len(reference) == 64
    assert motion_set_sha256([(standing_clip("a"), 1.0), (standing_clip("b"), 1.0)]) == reference
    assert motion_set_sha256([clips[0], (clips[1][0], 2.0)]) != reference
    assert motion_set_sha256([clips[0], (standing_clip("b", knee=0.67), 1.0)]) != reference
    assert motion_set_sha256([clips[0], (replace(clips[1][0], name="c"), 1.0)]) != reference
    assert motion_set_sha256(clips[::-1]) != reference


def test_an_unknown_name_lists_the_shipped_sets():
    with pytest.raises(ConfigError, match="no such motion set; shipped: .*first_light, locomotion_basic"):
        load_motion_set("second_light")


def test_the_shipped_sets_are_well_formed_and_named_after_their_files():
    names = known_motion_sets()
    assert {"first_light", "locomotion_basic", "single_motion_test"} <= set(names)
    for name in names:
        assert read_set_document(shipped_folder("motions") / "motion_sets" / f"{name}.yaml").name == name


def test_the_locomotion_set_is_shipped_whole_and_stands_walks_and_stops():
    entries = load_motion_set("locomotion_basic").entries
    assert {entry.role for entry in entries} == {"stand", "locomotion"}
    names = [entry.path.stem for entry in entries]
    assert all(any(word in name for name in names) for word in ("stream_", "stop_", "stand", "walk_loop"))


def test_the_walking_set_loads_from_shipped_clips_alone():
    ((clip, weight),) = load_clips(load_motion_set("single_motion_test"))
    assert (clip.name, weight) == ("walk", 1.0)
    assert clip.duration == pytest.approx(2.54)


def test_the_named_sets_are_shipped_and_those_without_development_clips_load():
    named = {"locomotion_basic", "dynamic_skills", "dance", "recovery", "single_motion_test", "all"}
    assert named <= set(known_motion_sets())
    for name in ("locomotion_basic", "recovery", "single_motion_test"):
        entries = load_motion_set(name).entries
        assert all(entry.path.is_file() for entry in entries)
    roles = {entry.role for entry in load_motion_set("recovery").entries}
    assert roles == {"stand", "locomotion"}


def test_shares_of_starts_are_weight_times_duration(folder, capsys):
    from bm_training.motions.commands import ListMotions

    file = write_set(folder, "  - {path: kick.npz, weight: 3}\n  - {path: stand_a.npz, end: 1.0}\n")
    assert ListMotions(set=str(file))() == 0
    printed = capsys.readouterr().out
    # 3 x 2 s against 1 x 1 s.
    assert "85.7%" in printed and "14.3%" in printed


def test_the_shipped_sets_are_listed_with_their_descriptions(capsys):
    from bm_training.motions.commands import ListMotions

    assert ListMotions(set="?")() == 0
    assert "single_motion_test" in capsys.readouterr().out


def test_a_cut_of_one_frame_is_refused_in_one_line(folder):
    from bm_training.motions.commands import ListMotions

    file = write_set(folder, "  - {path: walk.npz, start: 1.0, end: 1.001}\n")
    with pytest.raises(ClipError, match="walk: 1 frame, at least 2 needed"):
        ListMotions(set=str(file))()
