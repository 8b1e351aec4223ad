"""The viewer: its session is the loop that evaluation measures, its server shows the session and ends cleanly."""

import threading
import time

import numpy as np
import pytest
from squat_motion import squat

from bm_core.g1 import G1
from bm_core.motion import clip_from_qpos
from bm_sim2real.evaluation import Start, evaluate_clip
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.viewer_meshes import coarser, robot_meshes
from bm_sim2real.viewer_panel import readout_html
from bm_sim2real.viewer_session import ViewSession

viser = pytest.importorskip("viser", reason="the extra view is not installed")


@pytest.fixture
def policy(bundle_path):
    return TrackerPolicy.load(bundle_path)


@pytest.fixture
def clips(balancer):
    stand = balancer.stand
    pose = [np.repeat(part[None], 51, axis=0) for part in (stand.body_pos_w[0], stand.body_quat_w[0], stand.joint_pos)]
    return [clip_from_qpos("stand", *pose, 50.0), clip_from_qpos("squat", *squat(), 30.0)]


@pytest.fixture
def session(policy, clips):
    return ViewSession(policy, clips)


def run(session, steps):
    return [session.step() for _ in range(steps)]


def test_the_viewer_measures_what_the_evaluation_measures(session, policy, clips):
    body = [snapshot.errors.body for snapshot in run(session, 50)]
    result = evaluate_clip(policy, clips[0])
    assert result.completed and result.frames == 50
    assert np.mean(body) == pytest.approx(result.body_error_m, rel=1e-12)


def test_reset_repeats_the_same_run(session):
    first = run(session, 30)[-1].truth.joint_pos
    session.reset()
    assert session.steps == 0
    assert np.array_equal(run(session, 30)[-1].truth.joint_pos, first)


def test_a_finished_motion_ends_in_standing(session):
    assert run(session, 50)[-1].mode is Mode.RUNNING
    snapshot = run(session, 2)[-1]
    assert snapshot.mode is Mode.STAND and snapshot.reference is not None and snapshot.clip_s == 0.0


def test_a_step_is_20_ms_of_clip_and_simulation(session):
    snapshot = run(session, 10)[-1]
    assert snapshot.time_s == pytest.approx(0.2) and snapshot.clip_s == pytest.approx(0.2)


def test_choosing_a_clip_puts_the_robot_onto_its_first_frame(session, clips):
    snapshot = session.select("squat")
    assert np.allclose(snapshot.truth.joint_pos, clips[1].joint_pos[0])
    assert snapshot.errors.body < 1e-9


def test_lost_tracking_is_shown_as_a_latched_fault_until_reset(session):
    session.select("squat")
    snapshot = run(session, 150)[-1]
    assert snapshot.mode is Mode.DAMPING and "ee_body_pos" in snapshot.fault
    assert snapshot.reference is None and snapshot.errors is None
    assert session.reset().fault == ""


def test_a_push_moves_the_pelvis_in_its_direction(session):
    before = session.snapshot().truth.body_lin_vel_w[0]
    session.push(0.7, np.pi / 2)
    after = session.snapshot().truth.body_lin_vel_w[0]
    assert after - before == pytest.approx([0.0, 0.7, 0.0], abs=1e-9)


def test_requests_that_do_not_fit_the_mode_are_refused_in_words(session):
    run(session, 5)
    assert "refused in running" in session.play()
    session.start = Start.STAND
    session.reset()
    run(session, 5)
    assert "refused in stand" in session.brake()
    assert session.play() == "" and session.mode is Mode.RUNNING
    assert session.brake() == "" and session.mode is Mode.BRAKE


def test_estop_damps_at_once(session):
    run(session, 5)
    session.estop()
    snapshot = run(session, 1)[-1]
    assert snapshot.mode is Mode.DAMPING and "estop" in snapshot.fault


def test_readouts_name_the_fault_and_escape_it(session):
    session.select("squat")
    snapshot = run(session, 150)[-1]
    html = readout_html(snapshot, 2.0, 1.0, "<b>refused</b>")
    assert "ee_body_pos" in html and "DAMPING" in html and "&lt;b&gt;refused&lt;/b&gt;" in html


def test_meshes_belong_to_bodies_and_lie_near_them():
    meshes = robot_meshes()
    names = [mesh.body for mesh in meshes]
    assert len(set(names)) == len(names) and set(names) <= set(G1.body_names)
    assert {"pelvis", "torso_link", "left_knee_link", "right_ankle_roll_link"} <= set(names)
    for mesh in meshes:
        assert np.abs(mesh.vertices).max() < 0.6 and mesh.faces.max() < len(mesh.vertices)


def test_coarser_meshes_keep_their_shape_and_lose_flat_faces():
    trimesh = pytest.importorskip("trimesh")
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.1)
    vertices, faces = coarser(ball, cell=0.02)
    assert len(vertices) < len(ball.vertices) / 3 and len(faces) < len(ball.faces) / 3
    assert np.linalg.norm(vertices, axis=1) == pytest.approx(0.1, abs=0.01)
    assert all(len(set(face)) == 3 for face in faces.tolist())


@pytest.fixture
def viewer(session):
    from bm_sim2real.viewer import Viewer

    with Viewer(session, "tiny.onnx <1>", port=18080) as viewer:
        yield viewer


def scene_of_a_new_client(viewer, wanted):
    """What the server sends to a browser that connects, up to the first time that all of `wanted` is in it."""
    import zstandard
    from websockets.sync.client import connect

    address = viewer.url.replace("http://", "ws://")
    seen = b""
    with connect(address, subprotocols=[f"viser-v{viser.__version__}"], max_size=None) as client:
        while not all(word in seen for word in wanted):
            # 16 bytes of lengths, then one zstd frame.
            seen += zstandard.ZstdDecompressor().decompressobj().decompress(client.recv(timeout=20.0)[16:])
    return seen


def settled(condition):
    """Waits for another thread, at most 20 s."""
    deadline = time.monotonic() + 20.0
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def test_a_browser_gets_robot_reference_floor_and_controls(viewer):
    bodies = [mesh.body for mesh in robot_meshes()]
    nodes = [f"/world/{who}/{body}" for who in ("robot", "reference") for body in bodies]
    scene = scene_of_a_new_client(viewer, [node.encode() for node in [*nodes, "/world/floor"]] + [b"E-stop", b"squat"])
    assert b"tiny.onnx &lt;1&gt;" in scene


def test_step_and_run_move_the_simulation_and_pause_holds_it(viewer):
    assert viewer.snapshot.time_s == 0.0
    viewer.request(viewer._step)
    assert settled(lambda: viewer.snapshot.time_s == pytest.approx(0.02))
    viewer.panel.set_running(True)
    assert settled(lambda: viewer.snapshot.time_s > 0.1)
    viewer.panel.set_running(False)
    held = threading.Event()
    viewer.request(held.set)
    assert held.wait(20.0)
    paused = viewer.snapshot
    viewer.request(held.clear)
    assert settled(lambda: not held.is_set()) and viewer.snapshot is paused


def test_closing_ends_the_simulation_and_frees_the_port(session):
    from bm_sim2real.viewer import Viewer

    before = threading.active_count()
    first = Viewer(session, "tiny", port=18180)
    first.close()
    assert not first._thread.is_alive()
    with Viewer(session, "tiny", port=18180) as second:
        assert second.url == first.url
    assert settled(lambda: threading.active_count() <= before + 1)
