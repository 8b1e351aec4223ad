"""Clips: what they hold, and that writing and reading keeps it."""

import json
import zipfile

import numpy as np
import pytest
from squat_motion import SOLE_HEIGHT, squat

from bm_core.errors import BmError, ClipError
from bm_core.g1 import G1
from bm_core.motion import MotionClip, clip_from_qpos, find_clips, load_clip, save_clip
from bm_core.rotations import quat_from_yaw, quat_rotate

META = {"source": "made in a test", "licence": "CC0", "made_by": "test_motion_clip"}


@pytest.fixture(scope="module")
def clip():
    return clip_from_qpos("squat", *squat(), 30.0, **META)


def test_a_clip_has_50_frames_a_second_and_all_30_bodies(clip):
    assert (clip.num_frames, clip.fps, clip.duration) == (101, 50.0, 2.0)
    assert clip.joint_pos.shape == clip.joint_vel.shape == (101, 29)
    assert clip.body_pos_w.shape == clip.body_lin_vel_w.shape == clip.body_ang_vel_w.shape == (101, 30, 3)
    assert clip.body_quat_w.shape == (101, 30, 4)
    assert clip.joint_names == G1.joint_names
    assert clip.meta == META


def test_bodies_stand_where_the_motion_was_built_to_stand(clip):
    for side in ("left", "right"):
        foot = G1.body_index[f"{side}_ankle_roll_link"]
        np.testing.assert_allclose(
            clip.body_pos_w[:, foot, 2], SOLE_HEIGHT, atol=2e-3
        )  # lerp cuts the corners a little
        assert np.abs(clip.body_lin_vel_w[:, foot]).max() < 0.05
    torso = G1.body_index["torso_link"]
    assert clip.body_pos_w[:, torso, 2].min() > 0.5


def test_velocities_of_a_turning_robot_are_those_of_its_link_origins():
    frames, rate = 50, 1.5
    yaw = rate * np.arange(frames) / 50.0
    _, _, joint_pos = squat(frames)
    joint_pos = np.tile(joint_pos[0], (frames, 1))
    root_pos = np.tile([0.0, 0.0, 0.75], (frames, 1))
    clip = clip_from_qpos("turn", root_pos, quat_from_yaw(yaw), joint_pos, 50.0)
    np.testing.assert_allclose(clip.body_ang_vel_w, np.broadcast_to([0.0, 0.0, rate], (frames, 30, 3)), atol=1e-9)
    # v = omega x r; the chord of a 0.06 rad arc is 0.06 % shorter than the arc.
    expected = np.cross([0.0, 0.0, rate], clip.body_pos_w)
    np.testing.assert_allclose(clip.body_lin_vel_w[1:-1], expected[1:-1], rtol=1e-3, atol=1e-6)


def test_saved_and_loaded_is_the_same_to_a_hundredth_of_a_millimetre(clip, tmp_path):
    save_clip(clip, tmp_path / "sub" / "squat.npz")
    back = load_clip(tmp_path / "sub" / "squat.npz")
    assert (back.name, back.fps, back.meta) == (clip.name, clip.fps, clip.meta)
    for name in ("joint_pos", "body_pos_w", "body_quat_w"):
        np.testing.assert_allclose(getattr(back, name), getattr(clip, name), atol=1e-5)
        assert getattr(back, name).dtype == np.float64
    for name in ("joint_vel", "body_lin_vel_w", "body_ang_vel_w"):
        np.testing.assert_allclose(getattr(back, name), getattr(clip, name), atol=2e-4)


def test_saving_twice_gives_equal_bytes_and_leaves_nothing_else(clip, tmp_path):
    save_clip(clip, tmp_path / "a.npz")
    save_clip(clip, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_the_file_says_schema_names_and_info(clip, tmp_path):
    save_clip(clip, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert int(file["schema"]) == 1
        assert float(file["fps"]) == 50.0
        assert list(file["joint_names"])[3] == "left_knee_joint"
        assert list(file["body_names"])[15] == "torso_link"
        assert json.loads(str(file["info"])) == {"name": "squat", **META}


def rewrite(path, **changes):
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    arrays |= changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


def test_other_joint_and_body_orders_are_mapped_by_name(clip, tmp_path):
    path = tmp_path / "a.npz"
    save_clip(clip, path)
    joints, bodies = np.random.default_rng(1).permutation(29), np.random.default_rng(2).permutation(30)
    rewrite(
        path,
        joint_names=np.array(clip.joint_names)[joints],
        body_names=np.array(clip.body_names)[bodies],
        joint_pos=clip.joint_pos[:, joints],
        joint_vel=clip.joint_vel[:, joints],
        **{k: getattr(clip, k)[:, bodies] for k in ("body_pos_w", "body_quat_w", "body_lin_vel_w", "body_ang_vel_w")},
    )
    back = load_clip(path)
    assert back.joint_names == G1.joint_names
    np.testing.assert_allclose(back.joint_pos, clip.joint_pos)
    np.testing.assert_allclose(back.body_pos_w, clip.body_pos_w)


def test_a_body_that_contradicts_the_joints_is_refused_by_name(clip, tmp_path):
    path = tmp_path / "a.npz"
    save_clip(clip, path)
    moved = clip.body_pos_w.copy()
    moved[40, G1.body_index["left_elbow_link"], 0] += 0.03
    rewrite(path, body_pos_w=moved)
    with pytest.raises(ClipError, match=r"a\.npz: left_elbow_link is 3\.0 cm .* at frame 40"):
        load_clip(path)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"schema": np.int64(2)}, "clip schema 2, this version reads 1"),
        ({"schema": np.nan}, "schema is nan, a finite number expected"),
        ({"schema": np.inf}, "schema is inf"),
        ({"schema": np.zeros(0)}, "schema has 0 values, one expected"),
        ({"fps": np.zeros(0)}, "fps has 0 values"),
        ({"joint_names": None}, "has no 'joint_names'"),
        ({"fps": np.float64(30.0)}, "fps = 30, clips have 50"),
        ({"joint_vel": np.zeros((7, 29))}, r"joint_vel has shape \(7, 29\), expected \(101, 29\)"),
        ({"joint_vel": np.full((101, 29), np.inf)}, "frame 0: joint_vel of left_hip_pitch_joint is inf"),
        ({"info": np.array("{")}, "info is not JSON"),
        ({"joint_pos": np.array(["a"] * 29)}, "joint_pos holds <U1, numbers expected"),
    ],
)
def test_a_damaged_clip_is_refused_with_its_fault(clip, tmp_path, changes, message):
    path = tmp_path / "a.npz"
    save_clip(clip, path)
    rewrite(path, **changes)
    with pytest.raises(ClipError, match=message):
        load_clip(path)


def test_a_header_that_is_no_python_is_refused_as_corrupt(clip, tmp_path):
    """NumPy reads it as Python text, and its tokenizer raises errors of its own."""
    path, damaged = tmp_path / "a.npz", tmp_path / "b.npz"
    save_clip(clip, path)
    with zipfile.ZipFile(path) as good, zipfile.ZipFile(damaged, "w") as bad:
        for name in good.namelist():
            data = good.read(name)
            bad.writestr(name, data.replace(b"'shape': (", b"'shape'\n(((", 1) if name == "joint_pos.npy" else data)
    with pytest.raises(ClipError, match=r"b\.npz: corrupt \.npz archive"):
        load_clip(damaged)


def test_a_slice_holds_exactly_the_asked_frames(clip):
    part = clip.slice(0.5, 1.0)
    assert part.num_frames == 26
    np.testing.assert_array_equal(part.joint_pos, clip.joint_pos[25:51])
    np.testing.assert_array_equal(part.body_ang_vel_w, clip.body_ang_vel_w[25:51])
    assert clip.slice().num_frames == clip.num_frames


@pytest.mark.parametrize("start, end", [(1.0, 0.5), (-0.1, 1.0), (0.0, 2.5), (1.0, 1.0), (3.0, None)])
def test_a_slice_outside_the_clip_is_refused(clip, start, end):
    with pytest.raises(ClipError, match=r"cannot cut .* out of 0\.\.2\.00 s"):
        clip.slice(start, end)


@pytest.mark.parametrize("start, end", [(1.0, 1.001), (1.99, None), (0.011, 0.019)])
def test_a_slice_of_one_frame_is_no_motion(clip, start, end):
    with pytest.raises(ClipError, match=rf"{clip.name}: 1 frame, at least 2 needed .* a longer cut"):
        clip.slice(start, end)


def test_a_file_of_one_frame_is_no_motion_and_is_named(clip, tmp_path):
    path = tmp_path / "pose.npz"
    save_clip(clip, path)
    arrays = dict(np.load(path))
    first = {name: values[:1] for name, values in arrays.items() if values.ndim >= 2}
    np.savez(path, **(arrays | first))
    with pytest.raises(ClipError, match=r"^pose\.npz: 1 frame, at least 2 needed"):
        load_clip(path)


def test_root_is_the_pelvis(clip):
    root_pos, root_quat, _ = squat()
    np.testing.assert_allclose(clip.root_pos[::5], root_pos[::3], atol=1e-9)
    np.testing.assert_allclose(quat_rotate(clip.root_quat[0], np.ones(3)), quat_rotate(root_quat[0], np.ones(3)))


def test_shapes_that_do_not_fit_together_make_no_clip(clip):
    with pytest.raises(ClipError, match=r"body_quat_w has shape \(101, 30, 3\), expected \(101, 30, 4\)"):
        MotionClip(
            name="x",
            joint_pos=clip.joint_pos,
            joint_vel=clip.joint_vel,
            body_pos_w=clip.body_pos_w,
            body_quat_w=clip.body_pos_w,
            body_lin_vel_w=clip.body_lin_vel_w,
            body_ang_vel_w=clip.body_ang_vel_w,
        )


def test_clips_are_found_in_folders_sorted_without_hidden_and_other_files(tmp_path):
    for name in ("b/z.csv", "a.npz", "b/a.NPZ", ".hidden.npz", ".git/x.npz", "notes.md", "motions.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in find_clips(tmp_path)] == ["a.npz", "b/a.NPZ", "b/z.csv"]
    assert find_clips(tmp_path / "a.npz") == [tmp_path / "a.npz"]


def test_nothing_to_find_is_an_error(tmp_path):
    with pytest.raises(ClipError, match="no motion files"):
        find_clips(tmp_path)
    with pytest.raises(ClipError, match="no such file or folder"):
        find_clips(tmp_path / "absent")


def test_a_place_that_cannot_be_written_is_one_clear_error(clip, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BmError, match="cannot be written"):
        save_clip(clip, tmp_path / "file" / "a.npz")
    with pytest.raises(ClipError, match=r"saved as \.npz"):
        save_clip(clip, tmp_path / "a.csv")
