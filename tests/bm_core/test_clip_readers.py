"""Foreign motion files: what is read, and what is refused with which words. Every file is made here."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from squat_motion import squat

from bm_core.errors import ClipError
from bm_core.g1 import G1
from bm_core.joint_order import ISAAC_BODY_NAMES, ISAAC_JOINT_NAMES
from bm_core.motion import clip_from_qpos, find_clips, load_clip
from bm_core.rotations import quat_from_euler_xyz, quat_multiply, quat_rotate, quat_xyzw_from_wxyz

KNEE = 7 + G1.joint_index["left_knee_joint"]


def csv_rows(motion, quat="xyzw"):
    root_pos, root_quat, joint_pos = motion
    order = quat_xyzw_from_wxyz(root_quat) if quat == "xyzw" else root_quat
    return np.concatenate([root_pos, order, joint_pos], axis=1)


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, rows, delimiter=",", fmt="%.6f")
    return path


def root_only(motion, **changes):
    root_pos, root_quat, joint_pos = motion
    arrays = {"fps": 30, "root_pos": root_pos, "root_quat_wxyz": root_quat, "joint_pos": joint_pos} | changes
    return {key: value for key, value in arrays.items() if value is not None}


def nameless(motion, fps=30.0, joints=ISAAC_JOINT_NAMES, bodies=ISAAC_BODY_NAMES):
    """As whole_body_tracking writes it: fps (1,), no names, linear velocities of the centres of mass."""
    clip = clip_from_qpos("x", *motion, fps)
    columns = [G1.joint_index[name] for name in joints]
    body_columns = [G1.body_index[name] for name in bodies]
    return {
        "fps": np.array([50]),
        "joint_pos": clip.joint_pos[:, columns],
        "joint_vel": clip.joint_vel[:, columns],
        "body_pos_w": clip.body_pos_w[:, body_columns],
        "body_quat_w": clip.body_quat_w[:, body_columns],
        "body_lin_vel_w": clip.body_lin_vel_w[:, body_columns] + 0.5,
        "body_ang_vel_w": clip.body_ang_vel_w[:, body_columns],
    }


@pytest.fixture(scope="module")
def expected():
    return clip_from_qpos("squat", *squat(), 30.0)


@pytest.mark.parametrize("quat", ["wxyz", "xyzw"])
def test_csv_of_either_quaternion_order_is_the_same_clip(tmp_path, expected, quat):
    path = write_csv(tmp_path / "squat.csv", csv_rows(squat(), quat))
    clip = load_clip(path, fps=30, quat=quat)
    assert clip.name == "squat"
    np.testing.assert_allclose(clip.joint_pos, expected.joint_pos, atol=1e-6)
    np.testing.assert_allclose(clip.body_pos_w, expected.body_pos_w, atol=1e-5)


def test_windows_line_ends_blank_lines_and_a_byte_order_mark_are_read(tmp_path, expected):
    path = write_csv(tmp_path / "squat.csv", csv_rows(squat()))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    np.testing.assert_allclose(load_clip(path, fps=30, quat="xyzw").joint_pos, expected.joint_pos, atol=1e-6)


def test_motions_yaml_of_a_parent_folder_gives_rate_and_order_first_match_first(tmp_path, expected):
    (tmp_path / "motions.yaml").write_text('csv/w_*.csv: {fps: 30, quat: wxyz}\n"csv/*.csv": {fps: 60, quat: xyzw}\n')
    first = load_clip(write_csv(tmp_path / "csv/w_squat.csv", csv_rows(squat(), "wxyz")))
    second = load_clip(write_csv(tmp_path / "csv/deep/squat.csv", csv_rows(squat(121, 60.0), "xyzw")))
    assert first.num_frames == second.num_frames == expected.num_frames
    np.testing.assert_allclose(first.body_pos_w, expected.body_pos_w, atol=1e-5)


def test_explicit_rate_and_order_go_before_motions_yaml(tmp_path):
    (tmp_path / "motions.yaml").write_text('"*.csv": {fps: 60, quat: wxyz}\n')
    path = write_csv(tmp_path / "squat.csv", csv_rows(squat()))
    assert load_clip(path, fps=30, quat="xyzw").duration == 2.0


@pytest.mark.parametrize(
    "text, message",
    [
        ('"*.csv": {fps: 30, order: xyzw}', "must have the keys fps and quat only"),
        ('"*.csv": {fps: fast, quat: xyzw}', "fps = 'fast', a number expected"),
        ('"*.csv": {fps: 30, quat: zyxw}', "quat = 'zyxw', must be wxyz or xyzw"),
        ("- a\n- b", "must be lines of the form"),
        ("{", "not valid YAML"),
        ('"*.csv": {fps: 30}\n"*.csv": {fps: 60}', r"motions\.yaml: .*key '\*\.csv' twice"),
        ('"*.csv": {fps: 30, fps: 60}', "key 'fps' twice"),
        ('"*.csv": {fps: -30, quat: xyzw}', r"fps = -30, must be in 1\.\.1000"),
    ],
)
def test_a_wrong_motions_yaml_is_refused(tmp_path, text, message):
    (tmp_path / "motions.yaml").write_text(text)
    with pytest.raises(ClipError, match=message):
        load_clip(write_csv(tmp_path / "squat.csv", csv_rows(squat())))


def test_csv_without_rate_or_order_is_refused_with_the_remedy(tmp_path):
    path = write_csv(tmp_path / "squat.csv", csv_rows(squat()))
    with pytest.raises(ClipError, match=r"squat\.csv: .* give --fps, or a motions\.yaml"):
        load_clip(path)
    with pytest.raises(ClipError, match=r"give --quat wxyz or --quat xyzw \(it looks like xyzw\)"):
        load_clip(path, fps=30)


@pytest.mark.parametrize("changes", [{}, {"fps": None}, {"fps": np.array([30.0])}])
def test_root_only_npz_is_read(tmp_path, expected, changes):
    np.savez(tmp_path / "squat.npz", **root_only(squat(), licence="CC0", source="here", **changes))
    clip = load_clip(tmp_path / "squat.npz", fps=30 if changes == {"fps": None} else None)
    np.testing.assert_allclose(clip.body_pos_w, expected.body_pos_w)
    assert (clip.meta["licence"], clip.meta["source"]) == ("CC0", "here")


def test_root_only_npz_with_xyzw_in_the_name_is_read(tmp_path, expected):
    motion = squat()
    arrays = root_only(motion, root_quat_wxyz=None, root_quat_xyzw=quat_xyzw_from_wxyz(motion[1]))
    np.savez(tmp_path / "squat.npz", **arrays)
    np.testing.assert_allclose(load_clip(tmp_path / "squat.npz").body_quat_w, expected.body_quat_w, atol=1e-12)


@given(st.permutations(range(29)))
@settings(max_examples=10)
def test_joint_names_of_any_order_are_mapped(tmp_path_factory, order):
    root_pos, root_quat, joint_pos = squat()
    path = tmp_path_factory.mktemp("order") / "squat.npz"
    arrays = root_only((root_pos, root_quat, joint_pos[:, order]), joint_names=np.array(G1.joint_names)[order])
    np.savez(path, **arrays)
    np.testing.assert_allclose(load_clip(path).joint_pos[::5], joint_pos[::3], atol=1e-9)


@pytest.mark.parametrize(
    "edit, message",
    [
        (lambda names: [*names[:-1], "head_joint"], "unknown head_joint, missing right_wrist_yaw_joint"),
        (lambda names: names[:-1], "missing right_wrist_yaw_joint"),
        (lambda names: [*names, names[0]], "left_hip_pitch_joint stands there twice"),
    ],
)
def test_wrong_joint_names_are_refused(tmp_path, edit, message):
    np.savez(tmp_path / "a.npz", **root_only(squat(), joint_names=np.array(edit(list(G1.joint_names)))))
    with pytest.raises(ClipError, match=message):
        load_clip(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "joints, bodies", [(ISAAC_JOINT_NAMES, ISAAC_BODY_NAMES), (G1.joint_names, G1.body_names)], ids=["isaac", "mujoco"]
)
def test_nameless_npz_of_both_simulators_is_the_same_clip(tmp_path, expected, joints, bodies):
    np.savez(tmp_path / "a.npz", **nameless(squat(), joints=joints, bodies=bodies))
    clip = load_clip(tmp_path / "a.npz")
    np.testing.assert_allclose(clip.joint_pos, expected.joint_pos, atol=1e-9)
    # The file's linear velocities are half a metre a second off, as a centre of mass may be.
    np.testing.assert_allclose(clip.body_lin_vel_w, expected.body_lin_vel_w, atol=1e-9)


def test_isaac_order_is_the_published_one():
    # Isaac Lab's order: numbers 10, 12, 20, 24 and the body behind waist_pitch (number 9)
    assert [ISAAC_JOINT_NAMES[i - 1] for i in (10, 12, 20, 24)] == [
        "left_knee_joint",
        "left_shoulder_pitch_joint",
        "left_shoulder_yaw_joint",
        "left_wrist_roll_joint",
    ]
    assert ISAAC_BODY_NAMES[9] == "torso_link"
    assert sorted(ISAAC_JOINT_NAMES) == sorted(G1.joint_names)
    assert sorted(ISAAC_BODY_NAMES) == sorted(G1.body_names)


def test_nameless_npz_of_another_body_order_is_refused_by_body(tmp_path):
    arrays = nameless(squat())
    arrays["body_pos_w"][:, [4, 5]] = arrays["body_pos_w"][:, [5, 4]]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ClipError, match=r"a\.npz: (left|right)_hip_roll_link is \d+\.\d cm .* another robot"):
        load_clip(tmp_path / "a.npz")


def test_nameless_npz_in_xyzw_is_refused_and_the_remedy_works(tmp_path, expected):
    arrays = nameless(squat())
    arrays["body_quat_w"] = quat_xyzw_from_wxyz(arrays["body_quat_w"])
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ClipError, match="body_quat_w is xyzw, not wxyz.*give --quat xyzw"):
        load_clip(tmp_path / "a.npz")
    np.testing.assert_allclose(load_clip(tmp_path / "a.npz", quat="xyzw").joint_pos, expected.joint_pos, atol=1e-9)


def test_nameless_npz_with_a_swapped_last_joint_is_refused_though_no_origin_moves(tmp_path):
    arrays = nameless(squat())
    arrays["joint_pos"][:, ISAAC_JOINT_NAMES.index("left_wrist_yaw_joint")] += 0.5
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ClipError, match=r"left_wrist_yaw_link is 0\.0 cm and 0\.50 rad off"):
        load_clip(tmp_path / "a.npz")


def test_nameless_npz_with_more_bodies_is_refused_with_both_numbers(tmp_path):
    arrays = nameless(squat())
    for key in ("body_pos_w", "body_quat_w"):
        arrays[key] = np.concatenate([arrays[key], arrays[key][:, :10]], axis=1)
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ClipError, match=r"\(101, 40, 3\), expected \(101, 30, 3\)"):
        load_clip(tmp_path / "a.npz")


def broken_rows(change):
    rows = csv_rows(squat())
    change(rows)
    return rows


def set_cell(frame, column, value):
    return lambda rows: rows.__setitem__((frame, column), value)


def swap_columns(first, second):
    return lambda rows: rows.__setitem__((slice(None), [first, second]), rows[:, [second, first]])


@pytest.mark.parametrize(
    "change, message",
    [
        (set_cell(12, KNEE, np.nan), "frame 12: left_knee_joint is nan"),
        (set_cell(12, 2, np.inf), "frame 12: root position z is inf"),
        (set_cell(40, KNEE, 3.31), r"frame 40: left_knee_joint = 3\.31 rad, range -0\.09\.\.2\.88 \(0\.1 tolerated"),
        (set_cell(7, 6, 2.0), "frame 7: root quaternion has length 2"),
        (swap_columns(KNEE, KNEE - 3), r"left_knee_joint = -0\.\d+ rad, range"),
        (lambda rows: rows.__imul__(57.3), "root height|quaternion has length"),
        (lambda rows: rows[:, 7:].__imul__(57.29578), "angles are in rad"),
        (lambda rows: rows[:, :3].__imul__(100.0), r"root height is \d+\.\d m \(median\)"),
    ],
)
def test_bad_values_are_refused_by_frame_joint_value_and_limit(tmp_path, change, message):
    path = write_csv(tmp_path / "bad.csv", broken_rows(change))
    with pytest.raises(ClipError, match=rf"^bad\.csv: .*({message})") as caught:
        load_clip(path, fps=30, quat="xyzw")
    assert "\n" not in str(caught.value)


def test_a_small_overshoot_is_kept_as_it_is(tmp_path):
    path = write_csv(tmp_path / "a.csv", broken_rows(set_cell(20, KNEE, 2.8798 + 0.09)))
    assert load_clip(path, fps=50, quat="xyzw").joint_pos[20, 3] == pytest.approx(2.9698)


@pytest.mark.parametrize("yaw", np.linspace(-np.pi, np.pi, 9))
@pytest.mark.parametrize("truth, declared", [("xyzw", "wxyz"), ("wxyz", "xyzw")])
def test_the_wrong_quaternion_order_is_refused_whatever_the_heading(tmp_path, yaw, truth, declared):
    # A leaning pelvis, as every real motion has: level and facing +x, both orders are the same motion turned round.
    root_pos, root_quat, joint_pos = squat(yaw=0.0)
    lean = quat_from_euler_xyz(0.0, 0.15, 0.0)
    turn = quat_from_euler_xyz(0.0, 0.0, yaw)
    tilted = quat_multiply(turn, quat_multiply(lean, root_quat))
    moved = quat_rotate(turn, quat_rotate(lean, root_pos))
    path = write_csv(tmp_path / "a.csv", csv_rows((moved, tilted, joint_pos), truth))
    assert load_clip(path, fps=30, quat=truth).num_frames == 101
    with pytest.raises(ClipError, match=rf"a\.csv: the root quaternion seems to be {truth}, not {declared}"):
        load_clip(path, fps=30, quat=declared)


def test_a_motionless_robot_read_upside_down_is_refused(tmp_path):
    standing = tuple(np.repeat(part[:1], 30, axis=0) for part in squat(yaw=0.0))
    path = write_csv(tmp_path / "a.csv", csv_rows(standing, "wxyz"))
    with pytest.raises(ClipError, match="seems to be wxyz, not xyzw .*upside down"):
        load_clip(path, fps=30, quat="xyzw")


def test_a_motion_that_slides_on_purpose_can_be_trusted(tmp_path):
    # On skates, and the pelvis in an order that happens to slide less: refused, unless the user says that it is right.
    root_pos, root_quat, joint_pos = squat(yaw=0.0)
    lean = quat_from_euler_xyz(0.0, 0.15, 0.0)
    moved, tilted = quat_rotate(lean, root_pos), quat_multiply(lean, root_quat)
    path = write_csv(tmp_path / "a.csv", csv_rows((moved, tilted, joint_pos), "xyzw"))
    with pytest.raises(ClipError, match="convert it with --trust-order"):
        load_clip(path, fps=30, quat="wxyz")
    assert load_clip(path, fps=30, quat="wxyz", trust_order=True).num_frames == 101


def test_isaac_joint_order_in_a_csv_is_refused(tmp_path):
    root_pos, root_quat, joint_pos = squat(depth=0.3)
    columns = [G1.joint_index[name] for name in ISAAC_JOINT_NAMES]
    path = write_csv(tmp_path / "a.csv", csv_rows((root_pos, root_quat, joint_pos[:, columns])))
    with pytest.raises(ClipError, match="breadth-first|range"):
        load_clip(path, fps=30, quat="xyzw")


@pytest.mark.parametrize(
    "edit, message",
    [
        (
            lambda lines: ["x,y,z" + ",a" * 33, *lines],
            "line 1: root position x is 'x', a number expected; remove the head",
        ),
        (lambda lines: [*lines[:4], lines[4].replace(",", ",oops", 1), *lines[5:]], "line 5: root position y is 'oops"),
        (lambda lines: [*lines[:9], lines[9] + ",1.0", *lines[10:]], "line 10 has 37 columns, expected 36"),
        (lambda lines: [line.rsplit(",", 6)[0] for line in lines], "line 1 has 30 columns, expected 36"),
        (lambda lines: [*lines[:-1], lines[-1][:100]], "line 61 has 11 columns"),
        (lambda lines: [line.replace(",", ";") for line in lines], "line 1 has 1 columns, expected 36"),
        (lambda lines: lines[:1], "1 frame, at least 2 needed"),
        (lambda lines: ["", ""], "empty file"),
    ],
)
def test_broken_text_is_refused_by_line(tmp_path, edit, message):
    path = write_csv(tmp_path / "a.csv", csv_rows(squat()))
    path.write_text("\n".join(edit(path.read_text().splitlines())) + "\n")
    with pytest.raises(ClipError, match=rf"^a\.csv: .*{message}"):
        load_clip(path, fps=30, quat="xyzw")


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_truncated_npz_is_refused(tmp_path, keep):
    path = tmp_path / "a.npz"
    np.savez(path, **root_only(squat()))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ClipError, match=r"^a\.npz: (empty file|not an \.npz archive|corrupt)"):
        load_clip(path)


def test_a_flipped_byte_in_an_npz_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **root_only(squat()))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ClipError, match=r"^a\.npz: corrupt"):
        load_clip(path)


class Trap:
    """Would make a folder if anyone unpickled it."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_pickled_objects_are_refused_and_not_run(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(
        path, allow_pickle=True, **root_only(squat(), source=np.array([Trap(str(tmp_path / "ran"))], dtype=object))
    )
    with pytest.raises(ClipError, match="Python objects, which are not read"):
        load_clip(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"joint_pos": None}, "has no 'joint_pos'"),
        ({"root_quat_wxyz": None}, "has no root_quat_wxyz"),
        ({"root_pos": None}, "not a known motion file"),
        ({"fps": None}, "does not say its rate"),
        ({"fps": 0}, "fps = 0, must be in"),
        ({"fps": np.array([30, 60])}, "fps has 2 values"),
        ({"joint_pos": np.zeros((61, 23))}, r"joint_pos has shape \(61, 23\), expected \(61, 29\)"),
        ({"root_pos": np.zeros((60, 3))}, r"root_pos has shape \(60, 3\), expected \(61, 3\)"),
        ({"joint_pos": np.zeros(29)}, r"joint_pos has shape \(29,\)"),
        ({"joint_pos": np.float64(1.0)}, "joint_pos has shape"),
        ({"root_quat_wxyz": np.zeros((61, 4))}, "length 0.000"),
        (
            {"joint_pos": np.zeros((0, 29)), "root_pos": np.zeros((0, 3)), "root_quat_wxyz": np.zeros((0, 4))},
            "0 frames",
        ),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, changes, message):
    np.savez(tmp_path / "a.npz", **root_only(squat(), **changes))
    with pytest.raises(ClipError, match=message):
        load_clip(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["absent.csv", "absent.npz", "absent.bvh"])
def test_a_missing_file_is_refused(tmp_path, name):
    with pytest.raises(ClipError, match="no such file"):
        load_clip(tmp_path / name, fps=30, quat="xyzw")


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path):
    (tmp_path / "a.bvh").write_text("HIERARCHY")
    with pytest.raises(ClipError, match=r"unknown motion format '\.bvh'; known are \.csv, \.npz"):
        load_clip(tmp_path / "a.bvh")


def test_a_bad_frame_outside_the_cut_does_not_matter_and_inside_keeps_its_number(tmp_path):
    path = write_csv(tmp_path / "a.csv", broken_rows(set_cell(50, KNEE, np.nan)))
    assert load_clip(path, fps=30, quat="xyzw", end_s=1.0).num_frames == 51
    with pytest.raises(ClipError, match="frame 50: left_knee_joint is nan"):
        load_clip(path, fps=30, quat="xyzw", start_s=1.0)


@given(st.binary(max_size=400))
@settings(max_examples=60)
def test_any_bytes_are_a_clip_error_never_another_exception(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("a.npz", "a.csv"):
        (folder / name).write_bytes(content)
        with pytest.raises(ClipError):
            load_clip(folder / name, fps=30, quat="xyzw")


SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "motions"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the development motions are not on this machine")
def test_all_development_motions_are_read_in_their_three_formats():
    clips = [load_clip(path) for path in find_clips(SHARED)]
    assert len(clips) == 46
    assert sum(clip.duration for clip in clips) / 60 == pytest.approx(10.94, abs=0.01)  # "46 clips, 11 minutes"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the development motions are not on this machine")
def test_all_development_csvs_are_refused_in_the_other_quaternion_order():
    paths = [path for path in find_clips(SHARED) if path.suffix == ".csv"]
    assert len(paths) == 22
    for path in paths:
        right = "wxyz" if path.name.startswith("kimodo") else "xyzw"
        wrong = "xyzw" if right == "wxyz" else "wxyz"
        with pytest.raises(ClipError, match=f"seems to be {right}, not {wrong}"):
            load_clip(path, fps=30 if right == "wxyz" else 60, quat=wrong)
