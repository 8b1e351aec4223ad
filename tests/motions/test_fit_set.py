"""Clips that no robot can track as given, and the motion set that `bm motion check --fit-set` writes without them."""

import json
import re
import shutil

import numpy as np
import pytest
from squat_motion import squat

from bm_core.motion import clip_from_qpos, save_clip
from bm_core.motion_set import load_clips, load_motion_set
from bm_core.rotations import quat_xyzw_from_wxyz
from bm_sim2real.cli import main
from bm_training.motions.check import WarningLimits, check_file
from bm_training.motions.check_table import check_table, unfit_lines
from bm_training.motions.collision_shapes import CollisionShapes
from bm_training.motions.commands import CheckMotions


@pytest.fixture(scope="module")
def shapes():
    return CollisionShapes()


def save_sunk(file, depth):
    """A knee bend whose soles are `depth` m below the floor."""
    root_pos, root_quat, joint_pos = squat()
    file.parent.mkdir(parents=True, exist_ok=True)
    save_clip(clip_from_qpos(file.stem, root_pos - [0.0, 0.0, depth], root_quat, joint_pos, 30.0), file)


@pytest.fixture
def clips(tmp_path):
    """Two fit clips, an unfit one and a broken one."""
    folder = tmp_path / "clips"
    for name, depth in (("clean", 0.0), ("dipping", 0.09), ("sunk", 0.11)):
        save_sunk(folder / f"{name}.npz", depth)
    (folder / "broken.npz").write_bytes((folder / "clean.npz").read_bytes()[:2000])
    return folder


def names_in(file):
    return [clip.name for clip, _ in load_clips(load_motion_set(file))]


@pytest.mark.parametrize(
    "depth, reasons", [(0.09, ()), (0.097, ()), (0.103, ("penetration",)), (0.3, ("penetration",))]
)
def test_a_clip_is_unfit_beyond_10_cm_below_the_floor(shapes, tmp_path, depth, reasons):
    save_sunk(tmp_path / "x.npz", depth)
    check = check_file(tmp_path / "x.npz", shapes, WarningLimits())
    assert (check.fault, check.unfit, check.is_fit) == (None, reasons, not reasons)
    assert check.row()["unfit"] == list(reasons)


def test_one_frame_beyond_the_limit_is_enough(shapes, tmp_path):
    root_pos, root_quat, joint_pos = squat(fps=50.0)
    root_pos[30, 2] -= 0.12
    save_clip(clip_from_qpos("x", root_pos, root_quat, joint_pos, 50.0), tmp_path / "x.npz")
    assert check_file(tmp_path / "x.npz", shapes, WarningLimits()).unfit == ("penetration",)


def test_a_refused_file_is_no_fit_clip_and_has_no_reasons(shapes, clips):
    check = check_file(clips / "broken.npz", shapes, WarningLimits())
    assert (check.unfit, check.is_fit) == ((), False)


def test_the_table_marks_the_cell_and_colours_the_name(shapes, clips):
    checks = [check_file(clips / f"{name}.npz", shapes, WarningLimits()) for name in ("dipping", "sunk")]
    table = check_table(checks)
    names, depths = (list(table.columns[column].cells) for column in (0, 2))
    assert [cell.plain for cell in depths] == ["9.0 (101) !", "11.0 (101) x"]
    assert [str(cell.style) for cell in depths] == ["yellow", "magenta"]
    assert [str(cell.style) for cell in names] == ["", "magenta"]
    assert "x unfit" in str(table.caption)
    assert unfit_lines(checks) == ["sunk: 11.0 cm below the floor, limit 10 cm; no robot can track it as given"]


@pytest.mark.parametrize("details", [False, True])
def test_an_unfit_clip_has_one_line_and_does_not_fail(clips, capsys, details):
    (clips / "broken.npz").unlink()
    assert CheckMotions(paths=(clips,), details=details)() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "sunk: 11.0 cm" in line] == [
        "unfit: sunk: 11.0 cm below the floor, limit 10 cm; no robot can track it as given"
    ]
    assert lines[-1] == "3 clips, 0 faults, 1 unfit, 2 with warnings"


def test_the_document_counts_unfit_clips_and_says_why(clips, tmp_path):
    assert CheckMotions(paths=(clips,), json=tmp_path / "check.json")() == 1
    written = json.loads((tmp_path / "check.json").read_text())
    assert [written["summary"][key] for key in ("clips", "faults", "unfit", "warned")] == [4, 1, 1, 2]
    reasons = {row["clip"]: row["unfit"] for row in written["rows"]}
    assert reasons == {"broken": [], "clean": [], "dipping": [], "sunk": ["penetration"]}


def test_the_set_holds_the_fit_clips_and_says_what_was_left_out(clips, tmp_path, capsys):
    file = tmp_path / "fit.yaml"
    assert CheckMotions(paths=(clips,), fit_set=file)() == 1  # for the broken file, as without a set
    assert names_in(file) == ["clean", "dipping"]
    motions = load_motion_set(file)
    assert motions.name == "fit"
    assert motions.description == (
        "Clips that bm motion check neither refuses nor finds unfit (a link more than 10 cm below the floor). "
        "Left out of 4: broken (refused), sunk (11.0 cm below the floor, limit 10 cm)."
    )
    assert f"2 clips: {file}" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips", "fit.yaml"]


def test_a_set_above_its_clips_moves_with_them_and_one_beside_them_without(clips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    above, beside = "fit.yaml", "sets/fit.yaml"
    for file in (above, beside):
        assert main(["motion", "check", "clips", "--fit-set", file]) == 1
    shutil.copytree(clips, tmp_path / "moved" / "clips")
    shutil.copy(above, tmp_path / "moved" / "fit.yaml")
    shutil.copy(beside, tmp_path / "moved" / "alone.yaml")
    entries = [load_motion_set(tmp_path / "moved" / name).entries for name in ("fit.yaml", "alone.yaml")]
    assert [entry.path.parent for entry in entries[0]] == 2 * [tmp_path / "moved" / "clips"]
    assert [entry.path.parent for entry in entries[1]] == 2 * [clips]


def test_a_set_behind_a_link_finds_its_clips_by_both_paths(clips, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "fit.yaml").touch()
    (tmp_path / "fit.yaml").symlink_to(tmp_path / "real" / "fit.yaml")
    CheckMotions(paths=(clips,), fit_set=tmp_path / "fit.yaml")()
    assert (tmp_path / "fit.yaml").is_symlink()
    assert names_in(tmp_path / "fit.yaml") == ["clean", "dipping"]


@pytest.mark.parametrize("name", ["a: b #1 - 'x'", "yes", "12", "[bold]", "Schritt rückwärts", "*"])
def test_unusual_file_names_survive(tmp_path, name):
    save_sunk(tmp_path / f"{name}.npz", 0.0)
    assert CheckMotions(paths=(tmp_path,), fit_set=tmp_path / "fit.yaml")() == 0
    assert names_in(tmp_path / "fit.yaml") == [name]


def test_a_file_given_by_two_paths_is_in_the_set_once(clips, tmp_path):
    detour = clips / ".." / "clips" / "clean.npz"
    assert CheckMotions(paths=(clips / "clean.npz", detour), fit_set=tmp_path / "fit.yaml")() == 0
    assert names_in(tmp_path / "fit.yaml") == ["clean"]


def test_a_csv_whose_rate_a_motions_yaml_says_is_in_the_set(tmp_path):
    root_pos, root_quat, joint_pos = squat()
    rows = np.concatenate([root_pos, quat_xyzw_from_wxyz(root_quat), joint_pos], axis=1)
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",", fmt="%.6f")
    (tmp_path / "motions.yaml").write_text('"*.csv": {fps: 30, quat: xyzw}\n')
    assert CheckMotions(paths=(tmp_path,), fit_set=tmp_path / "sets" / "fit.yaml")() == 0
    assert names_in(tmp_path / "sets" / "fit.yaml") == ["a"]


@pytest.mark.parametrize(
    "words, message",
    [
        ("--fit-set fit.yaml --fps 30", r"--fit-set fit\.yaml: a motion set cannot hold --fps and --quat; say them in"),
        ("--fit-set fit.yaml --quat wxyz", "a motion set cannot hold --fps and --quat"),
        ("--fit-set fit.json", r"--fit-set fit\.json: must end in \.yaml or \.yml"),
        ("--fit-set fit", r"must end in \.yaml or \.yml"),
        ("--fit-set clips/motions.yaml", r"motions\.yaml is for rate and quaternion order; choose another name"),
    ],
)
def test_what_no_set_can_be_is_refused_before_the_work(clips, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert_refused(f"clips --json check.json {words}", message, tmp_path, capsys)


def test_two_fit_clips_of_one_name_are_refused(clips, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_sunk(clips / "other" / "clean.npz", 0.0)
    message = r"--fit-set fit\.yaml: .*clean\.npz and .*other/clean\.npz have one name; rename one of them"
    assert_refused("clips --json check.json --fit-set fit.yaml", message, tmp_path, capsys)


def test_an_unfit_clip_may_share_the_name_of_a_fit_one(clips, tmp_path):
    save_sunk(clips / "other" / "clean.npz", 0.2)
    CheckMotions(paths=(clips,), fit_set=tmp_path / "fit.yaml")()
    assert names_in(tmp_path / "fit.yaml") == ["clean", "dipping"]


def test_without_a_fit_clip_there_is_no_set_and_an_older_one_stays(clips, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fit.yaml").write_text("an older one")
    message = r"--fit-set fit\.yaml: none of 2 clips is fit; without --fit-set you see why"
    assert_refused("clips/sunk.npz clips/broken.npz --json check.json --fit-set fit.yaml", message, tmp_path, capsys)
    assert (tmp_path / "fit.yaml").read_text() == "an older one"


def assert_refused(words, message, folder, capsys):
    """Exit code 2, one line, and nothing written."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert main(["motion", "check", *words.split()]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert len(said) == 1 and said[0].startswith("error: ")
    assert re.search(message, said[0])
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
