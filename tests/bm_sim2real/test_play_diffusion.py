"""bm play-diffusion without a trained network: a planner that repeats the last action, steered all the same."""

import json
from functools import partial

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytest.importorskip("mujoco")

from tiny_planner import tiny_policy  # noqa: E402

from bm_core.data import shipped  # noqa: E402
from bm_core.errors import ConfigError, RobotError  # noqa: E402
from bm_core.locomotion.stop import stand_reference  # noqa: E402
from bm_core.motion import clip_from_qpos  # noqa: E402
from bm_core.reference import MotionReference  # noqa: E402
from bm_sim2real.diffusion_play.panel import play_readout  # noqa: E402
from bm_sim2real.diffusion_play.session import PlaySession, PlayTask, play_script  # noqa: E402
from bm_sim2real.guidance.operator_input import Sticks  # noqa: E402
from bm_sim2real.markers import Solid  # noqa: E402
from bm_sim2real.modes import Mode  # noqa: E402
from bm_sim2real.planning import machine  # noqa: E402
from bm_sim2real.policies.tracker import TrackerPolicy  # noqa: E402


@pytest.fixture(scope="module")
def tracker():
    return TrackerPolicy.load(shipped("policies", "g1_tracker.onnx"))


@pytest.fixture
def session(tracker, monkeypatch):
    # This planner holds a pose: it can take over a robot that stands, not one that the tracker has walked off.
    motion = stand_reference(5.0)
    clip = clip_from_qpos("stand", motion.root_pos, motion.root_quat, motion.joint_pos, 50.0)
    monkeypatch.setattr(machine, "plan_start", lambda velocity, seconds: MotionReference(clip))
    monkeypatch.setattr(machine, "GuidedConfig", partial(machine.GuidedConfig, start_s=0.1))
    return PlaySession(tiny_policy(), tracker, is_scripted=False)


def run(session, steps, sticks=None):
    for _ in range(steps):
        snapshot = session.step(sticks)
    return snapshot


def test_plans_take_over_from_standing_and_sticks_become_the_goal(session):
    snapshot = run(session, 20, Sticks(ahead=1.0))
    assert snapshot.is_guided and snapshot.mode is Mode.RUNNING
    assert 0.0 < snapshot.goal.velocity[0] <= 1.5 * 0.4 and snapshot.goal.velocity[2] == 0.0
    assert [marker.solid for marker in snapshot.markers] == [Solid.CYLINDER] * 17


def test_the_cost_changes_while_the_robot_goes_on(session):
    run(session, 20, Sticks(ahead=1.0))
    session.select(PlayTask.WAYPOINT_OBSTACLE)
    snapshot = run(session, 2)
    assert snapshot.is_guided and snapshot.goal.waypoint == (5.0, 0.0) and len(snapshot.goal.obstacles) == 3
    session.go_to([(1.0, 2.0)])
    snapshot = run(session, 1)
    assert snapshot.goal.waypoint == (1.0, 2.0) and len(snapshot.goal.obstacles) == 3
    session.select(PlayTask.OBSTACLE)
    assert run(session, 1).goal.waypoint is None
    with pytest.raises(ConfigError, match="no waypoints"):
        session.go_to([(1.0, 2.0)])


def test_without_a_goal_the_robot_brakes_and_stands(session):
    run(session, 20, Sticks(ahead=1.0))
    session.stop()
    modes = [session.step().mode for _ in range(250)]
    assert modes[-1] is Mode.STAND and Mode.BRAKE in modes and session.snapshot().fallen == ""
    assert session.snapshot().goal.is_empty


def test_an_estop_damps_and_no_goal_wakes_the_robot(session):
    run(session, 15)
    session.estop()
    snapshot = run(session, 20, Sticks(ahead=1.0))
    assert snapshot.mode is Mode.DAMPING and "estop" in snapshot.fault
    assert session.reset().fault == "" and session.snapshot().mode is Mode.STAND


def test_a_script_steers_itself_and_ends_with_the_fall(tracker):
    snapshots = play_script(PlaySession(tiny_policy(), tracker, is_scripted=True), 0.5)
    assert len(snapshots) == 25 and snapshots[-1].goal.velocity == (0.0, 0.0, 0.0)
    lane = play_script(PlaySession(tiny_policy(), tracker, PlayTask.OBSTACLE, is_scripted=True), 0.5)
    assert lane[-1].goal.velocity == pytest.approx((0.6, 0.0, 0.0), abs=0.05) and lane[-1].goal.obstacles
    with pytest.raises(RobotError, match="nothing to play"):
        play_script(PlaySession(tiny_policy(), tracker), 0.0)


def test_the_readout_says_what_is_asked_and_escapes_messages(session):
    html = play_readout(run(session, 20, Sticks(turn=1.0)), 0.5, "<b>no</b>")
    assert "RUNNING on plans" in html and "&lt;b&gt;no" in html and "0.50 × real time" in html
    session.select(PlayTask.WAYPOINT)
    assert " m</b>" in play_readout(run(session, 1), 1.0, "")


def test_the_command_plays_headless_and_writes_the_path(tracker, monkeypatch, tmp_path, capsys):
    import bm_sim2real.planning.policy as policy
    from bm_sim2real.commands.play_diffusion import PlayDiffusion

    monkeypatch.setattr(policy, "load_lockstep", lambda path, config: tiny_policy())
    out = tmp_path / "play.json"
    command = PlayDiffusion(policy=tmp_path / "x.onnx", headless=True, seconds=0.6, json=out)
    assert command() == 0
    document = json.loads(out.read_text())
    assert document["passed"] and document["summary"]["seconds"] == pytest.approx(0.6)
    assert np.array(document["rows"][0]["pelvis_pos_w"]).shape == (3,)
    assert "joystick: 0.6 s" in capsys.readouterr().out


def test_the_viewer_serves_robot_plan_and_obstacles(session):
    pytest.importorskip("viser")
    from bm_sim2real.diffusion_play.viewer import PlayViewer

    session.select(PlayTask.OBSTACLE)
    run(session, 20, Sticks(ahead=1.0))
    with PlayViewer(session, "tiny.onnx <1>", port=18090) as viewer:
        assert viewer.url.startswith("http://")
        assert viewer.markers.shown == 3 + 17  # pillars; the plan, its present included
        viewer.panel.task.value = "joystick"
        viewer.markers.show([])
        assert viewer.markers.shown == 0
