"""Pictures: the robot is in them, the reference beside it is too, and a machine without OpenGL gets stick figures."""

import logging

import numpy as np
import pytest
from squat_motion import squat

from bm_core.errors import ConfigError
from bm_core.motion import clip_from_qpos
from bm_sim2real import rendering
from bm_sim2real.rendering import Camera, clip_qpos, iter_frames, picture_source, render_frames
from bm_sim2real.video import contact_sheet, write_contact_sheet, write_movie

CAMERA = Camera(smoothing=1)
FAR = (0.0, 0.0, -50.0)  # m; out of the picture


@pytest.fixture(scope="module")
def qpos():
    return clip_qpos(clip_from_qpos("squat", *squat(yaw=0.0), 30.0))


@pytest.fixture(params=["mujoco", "stick figure"])
def artist(request, monkeypatch):
    """Both ways to draw, whatever this machine has; MuJoCo only where a headless OpenGL works."""
    if request.param == "stick figure":
        monkeypatch.setattr(rendering, "_gl_context", lambda width, height: (None, "egl: none in this test"))
    elif picture_source().startswith("stick"):
        pytest.skip("no headless OpenGL on this machine: MuJoCo cannot draw")
    return request.param


def changed(first, second):
    """Mask of pixels that differ visibly."""
    return np.abs(first.astype(int) - second.astype(int)).max(axis=-1) > 20


def test_one_picture_a_row_of_the_asked_size(artist, qpos):
    frames = render_frames(qpos[:3], size=(160, 120))
    assert frames.shape == (3, 120, 160, 3)
    assert frames.dtype == np.uint8


def test_the_robot_is_upright_in_the_middle_of_the_picture(artist, qpos):
    empty = qpos[:1] + np.array([0, 0, -50.0, *[0.0] * 33])
    robot = changed(render_frames(qpos[:1], camera=CAMERA)[0], render_frames(empty, camera=CAMERA)[0])
    rows, columns = np.nonzero(robot)
    assert robot.mean() > 0.004
    assert np.ptp(rows) > 1.5 * np.ptp(columns)
    assert abs(columns.mean() - 160) < 30
    assert 10 < rows.min() < 100  # the head
    assert 180 < rows.max() < 239  # the soles


def test_a_bent_knee_lowers_the_head_in_the_picture(artist, qpos):
    def head_row(frame):
        empty = render_frames(qpos[:1] + np.array([0, 0, -50.0, *[0.0] * 33]), camera=CAMERA)[0]
        return np.nonzero(changed(render_frames(qpos[frame : frame + 1], camera=CAMERA)[0], empty))[0].min()

    assert head_row(50) > head_row(0) + 5  # deepest after 1 s


def test_the_reference_appears_where_the_offset_puts_it(artist, qpos):
    side = Camera(azimuth=90.0, smoothing=1)  # looks along +y: world +x is to the right
    alone = render_frames(qpos[:1], qpos[:1], camera=side, reference_offset=FAR)[0]
    beside = render_frames(qpos[:1], qpos[:1], camera=side, reference_offset=(0.8, 0.0, 0.0))[0]
    # The camera looks at the middle between both, 0.4 m further on, so the robot itself moves to the left.
    columns = np.nonzero(changed(alone, beside))[1]
    assert columns.min() < 150
    assert columns.max() > 190


def test_without_opengl_it_says_so_once_a_sequence(monkeypatch, qpos, caplog):
    monkeypatch.setattr(rendering, "_gl_context", lambda width, height: (None, "egl: ImportError"))
    with caplog.at_level(logging.WARNING):
        list(iter_frames(qpos[:4], size=(32, 32)))
    assert [r.message for r in caplog.records] == [
        "no headless OpenGL (egl: ImportError): drawing stick figures; libegl1 or libosmesa6 would help"
    ]
    assert picture_source().startswith("stick figures")


def test_two_sequences_can_be_drawn_in_turns(artist, qpos):
    alternating = zip(iter_frames(qpos[:3]), iter_frames(qpos[40:43]), strict=True)
    for index, (first, second) in enumerate(alternating):
        np.testing.assert_array_equal(first, render_frames(qpos[:3])[index])
        np.testing.assert_array_equal(second, render_frames(qpos[40:43])[index])


@pytest.mark.parametrize("shape, reference", [((5, 35), None), ((5, 36), (4, 36))])
def test_wrong_shapes_are_refused(shape, reference):
    with pytest.raises(ConfigError, match="has shape"):
        render_frames(np.zeros(shape), None if reference is None else np.zeros(reference))


def colored_frames(count):
    for index in range(count):
        yield np.full((48, 64, 3), (40 * index, 255 - 40 * index, 128), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_movie_has_all_frames_in_order(tmp_path, suffix):
    import imageio.v2 as imageio

    assert write_movie(tmp_path / f"a{suffix}", colored_frames(6), fps=25) == 6
    red = [int(frame[..., 0].mean()) for frame in imageio.get_reader(tmp_path / f"a{suffix}")]
    np.testing.assert_allclose(red, [0, 40, 80, 120, 160, 200], atol=12)


def test_a_movie_that_fails_leaves_no_file(tmp_path):
    def failing():
        yield from colored_frames(2)
        raise RuntimeError("drawing failed")

    with pytest.raises(RuntimeError, match="drawing failed"):
        write_movie(tmp_path / "a.mp4", failing(), fps=25)
    assert list(tmp_path.iterdir()) == []


def test_a_contact_sheet_goes_row_by_row(tmp_path):
    import imageio.v2 as imageio

    write_contact_sheet(tmp_path / "a.png", colored_frames(5), columns=3)
    sheet = imageio.imread(tmp_path / "a.png")
    assert sheet.shape == (96, 192, 3)
    np.testing.assert_array_equal(sheet[::48, ::64, 0], [[0, 40, 80], [120, 160, 255]])


def test_no_frames_and_unknown_suffixes_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no frames"):
        write_movie(tmp_path / "a.mp4", [], fps=25)
    with pytest.raises(ConfigError, match="no frames"):
        contact_sheet([])
    with pytest.raises(ConfigError, match=r"\.mp4 or \.gif"):
        write_movie(tmp_path / "a.avi", colored_frames(1), fps=25)
    assert list(tmp_path.iterdir()) == []
