"""`bm motion convert | check | list | render` from the outside: what they write, print and return."""

import json

import numpy as np
import pytest
from squat_motion import squat

from bm_core.errors import BmError, ClipError, ConfigError
from bm_core.motion import clip_from_qpos, load_clip, save_clip
from bm_core.rotations import quat_xyzw_from_wxyz
from bm_training.motions.commands import CheckMotions, Convert, ListMotions, Render


@pytest.fixture
def sources(tmp_path):
    """A folder with one file of each format below it."""
    folder = tmp_path / "sources"
    (folder / "csv").mkdir(parents=True)
    root_pos, root_quat, joint_pos = squat()
    rows = np.concatenate([root_pos, quat_xyzw_from_wxyz(root_quat), joint_pos], axis=1)
    np.savetxt(folder / "csv/a.csv", rows, delimiter=",", fmt="%.6f")
    (folder / "motions.yaml").write_text('"csv/*.csv": {fps: 30, quat: xyzw}\n')
    np.savez(folder / "b.npz", fps=30, root_pos=root_pos, root_quat_wxyz=root_quat, joint_pos=joint_pos, licence="CC0")
    save_clip(clip_from_qpos("c", root_pos, root_quat, joint_pos, 30.0, made_by="a test"), folder / "c.npz")
    return folder


def break_one(sources):
    (sources / "b.npz").write_bytes((sources / "b.npz").read_bytes()[:2000])


def files_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_convert_keeps_the_folders_and_makes_the_same_clip_of_every_format(sources, tmp_path, capsys):
    out = tmp_path / "clips"
    assert Convert(inputs=(sources,), out=out)() == 0
    assert files_below(out) == ["b.npz", "c.npz", "csv/a.npz"]
    clips = [load_clip(out / name) for name in files_below(out)]
    for clip in clips[1:]:
        np.testing.assert_allclose(clip.body_pos_w, clips[0].body_pos_w, atol=3e-5)
    assert [clip.meta["made_by"] for clip in clips] == ["bm motion convert", "a test", "bm motion convert"]
    assert clips[0].meta["licence"] == "CC0"
    assert "3 clips, 0.1 min" in capsys.readouterr().out


def test_convert_writes_nothing_at_all_if_one_file_is_refused(sources, tmp_path, capsys):
    break_one(sources)
    before = files_below(tmp_path)
    with pytest.raises(ClipError, match="1 of 3 files refused, nothing written"):
        Convert(inputs=(sources,), out=tmp_path / "new" / "clips")()
    assert files_below(tmp_path) == before
    assert not (tmp_path / "new").exists()
    assert "refused: b.npz: not an .npz archive" in capsys.readouterr().err


def test_convert_with_keep_going_writes_the_others_and_returns_1(sources, tmp_path):
    break_one(sources)
    out = tmp_path / "clips"
    assert Convert(inputs=(sources,), out=out, keep_going=True)() == 1
    assert files_below(out) == ["c.npz", "csv/a.npz"]


def test_the_refusal_of_a_single_file_is_one_line(sources, tmp_path, capsys):
    break_one(sources)
    with pytest.raises(
        ClipError, match=r"^b\.npz: not an \.npz archive \(truncated, or another format\); copy it again$"
    ):
        Convert(inputs=(sources / "b.npz",), out=tmp_path / "clips")()
    assert "refused" not in capsys.readouterr().err


def test_convert_cuts_before_it_checks(sources, tmp_path):
    assert Convert(inputs=(sources / "csv" / "a.csv",), out=tmp_path / "clips", start=0.5, end=1.5)() == 0
    assert load_clip(tmp_path / "clips" / "a.npz").duration == pytest.approx(1.0)


def test_converting_twice_into_a_folder_inside_the_input_does_not_convert_the_results(sources):
    out = sources / "clips"
    assert Convert(inputs=(sources,), out=out)() == 0
    first = {name: (out / name).read_bytes() for name in files_below(out)}
    assert Convert(inputs=(sources,), out=out)() == 0
    assert {name: (out / name).read_bytes() for name in files_below(out)} == first


def test_two_inputs_for_one_clip_and_a_clip_over_its_source_are_refused(sources, tmp_path):
    (sources / "c.csv").write_bytes((sources / "csv" / "a.csv").read_bytes())
    before = {name: (sources / name).read_bytes() for name in files_below(sources)}
    with pytest.raises(ClipError, match="would both become"):
        Convert(inputs=(sources,), out=tmp_path / "clips")()
    with pytest.raises(ClipError, match="would be overwritten by its own clip"):
        Convert(inputs=(sources / "c.npz",), out=sources)()
    assert {name: (sources / name).read_bytes() for name in files_below(sources)} == before


def test_convert_into_a_place_that_is_no_folder_is_refused(sources, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ClipError, match="is a file, not a folder; choose another --out"):
        Convert(inputs=(sources,), out=tmp_path / "file" / "clips")()
    (tmp_path / "clips" / "c.npz").mkdir(parents=True)
    with pytest.raises(ClipError, match=r"c\.npz: is a folder"):
        Convert(inputs=(sources,), out=tmp_path / "clips")()
    assert files_below(tmp_path / "clips") == []


def test_convert_of_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="give files or folders"):
        Convert(inputs=(), out=tmp_path)()
    with pytest.raises(ClipError, match="no such file or folder"):
        Convert(inputs=(tmp_path / "absent",), out=tmp_path)()


def test_check_passes_good_clips_and_writes_the_document(sources, tmp_path, capsys):
    document = tmp_path / "check.json"
    assert CheckMotions(paths=(sources,), json=document)() == 0
    written = json.loads(document.read_text())
    assert written["command"] == "motion check"
    assert written["passed"] is True
    assert (written["summary"]["clips"], written["summary"]["faults"]) == (3, 0)
    assert [row["clip"] for row in written["rows"]] == ["b", "c", "a"]
    assert written["summary"]["unfit"] == 0
    assert [row["unfit"] for row in written["rows"]] == [[], [], []]
    assert "3 clips, 0 faults, 0 unfit, 0 with warnings" in capsys.readouterr().out


def test_check_fails_on_a_fault_and_goes_on_with_the_others(sources, tmp_path, capsys):
    break_one(sources)
    document = tmp_path / "check.json"
    assert CheckMotions(paths=(sources,), json=document)() == 1
    written = json.loads(document.read_text())
    assert written["passed"] is False
    assert (written["summary"]["clips"], written["summary"]["faults"]) == (3, 1)
    assert written["rows"][0]["fault"].startswith("b.npz: not an .npz archive")
    output = capsys.readouterr()
    assert written["rows"][0]["unfit"] == []
    assert "3 clips, 1 faults, 0 unfit" in output.out
    assert "fault: b.npz: not an .npz archive" in output.err


def test_warnings_are_told_but_do_not_fail(tmp_path, capsys):
    root_pos, root_quat, joint_pos = squat()
    sunk = clip_from_qpos("sunk", root_pos - [0.0, 0.0, 0.09], root_quat, joint_pos, 30.0)
    save_clip(sunk, tmp_path / "sunk.npz")
    assert CheckMotions(paths=(tmp_path,), details=True)() == 0
    output = capsys.readouterr().out
    assert "sunk: 9.0 cm below the floor, 101 frames" in output
    assert "1 clips, 0 faults, 0 unfit, 1 with warnings" in output


def test_list_shows_length_source_and_licence_and_fails_on_a_broken_file(sources, capsys):
    assert ListMotions(paths=(sources,))() == 0
    output = capsys.readouterr().out
    assert "3 clips, 0.1 min, 0 refused" in output
    assert "CC0" in output
    break_one(sources)
    assert ListMotions(paths=(sources,))() == 1
    assert "refused: b.npz" in capsys.readouterr().err


def test_a_file_given_twice_is_counted_once(sources, capsys):
    assert ListMotions(paths=(sources, sources / "c.npz"))() == 0
    assert "3 clips" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".png", ".gif", ".mp4"])
def test_render_writes_the_picture_and_says_how_it_was_drawn(sources, tmp_path, suffix, capsys):
    out = tmp_path / f"picture{suffix}"
    render = Render(clip=sources / "c.npz", out=out, size=(64, 48), end=0.4, frames=4, reference=sources / "b.npz")
    assert render() == 0
    assert out.stat().st_size > 500
    assert "drawn by" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"out": "a.avi"}, r"must end in \.mp4, \.gif, \.png"),
        ({"out": "a.png", "frames": 0}, "--frames must be >= 1"),
        ({"out": "a.mp4", "size": (63, 48)}, "even"),
        ({"out": "a.mp4", "start": 5.0}, "cannot cut"),
    ],
)
def test_render_refuses_before_it_draws(sources, tmp_path, changes, message):
    arguments = {"clip": sources / "c.npz"} | changes | {"out": tmp_path / changes["out"]}
    with pytest.raises(BmError, match=message):
        Render(**arguments)()
    assert not (tmp_path / changes["out"]).exists()
