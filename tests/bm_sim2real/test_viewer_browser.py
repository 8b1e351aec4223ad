"""`bm view` in a real browser: the robot is drawn, buttons reach the simulation, readouts follow it."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, find_browser

from bm_core.data import shipped
from bm_core.motion import load_clip
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.viewer_session import ViewSession

pytest.importorskip("viser", reason="the extra view is not installed")
pytest.importorskip("websockets")
Image = pytest.importorskip("PIL.Image")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="no browser asked for: make test-browser (Chromium)"),
]


@pytest.fixture(scope="module")
def session():
    tracker = TrackerPolicy.load(shipped("policies", "g1_tracker.onnx"))
    clips = [load_clip(shipped("motions", name)) for name in ("walk_loop.npz", "stand.npz")]
    return ViewSession(tracker, clips)


@pytest.fixture(scope="module")
def viewer(session):
    from bm_sim2real.viewer import Viewer

    with Viewer(session, "g1_tracker.onnx", host="127.0.0.1", port=8970) as viewer:
        yield viewer


@pytest.fixture(scope="module")
def page(viewer, tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    browser.open(viewer.url)
    browser.wait("[...document.querySelectorAll('button')].some(b => b.innerText.trim() === 'Start')")
    yield browser
    browser.close()


def press(page, label):
    script = (
        f"(() => {{ const b = [...document.querySelectorAll('button')].find(b => b.innerText.trim() === '{label}');"
    )
    assert page.ask(script + " b?.click(); return !!b; })()"), f"no button {label}"


def test_panel_has_every_control(page):
    text = page.ask("document.body.innerText")
    for label in ("Motion", "Start", "Step", "Reset", "Speed", "Repeat", "Play", "Brake", "E-stop", "Push"):
        assert label in text


def test_start_moves_the_robot_and_it_is_drawn(session, page):
    assert session.steps == 0
    press(page, "Start")
    page.wait("document.body.innerText.includes('Pause')")
    page.wait("/running/i.test(document.body.innerText)")
    assert session.steps > 0
    png = page.picture()
    scene = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.float64)
    assert scene[:, : scene.shape[1] // 2].std() > 5.0  # not one colour: floor, robot, reference
    if os.environ.get("BM_SCREENSHOTS"):
        Path(os.environ["BM_SCREENSHOTS"], "viewer.png").write_bytes(png)


def test_emergency_stop_reaches_the_simulation_and_its_fault_is_shown(page):
    press(page, "E-stop")
    page.wait("/estop/i.test(document.body.innerText)")
    press(page, "Reset")
    page.wait("!/estop at/i.test(document.body.innerText)")
