"""A whole run through the bridge, over DDS, in lockstep: MuJoCo behind the wire, the balancer as policy."""

import pytest
from bridge_bench import Bench

from bm_core.errors import RobotError
from bm_core.motion import clip_from_qpos
from bm_sim2real.bridge.loop import BridgedLoop
from bm_sim2real.bridge.session import BridgedSession
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.robots.gantry import Gantry
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.unitree.remote import Button, Remote
from bm_sim2real.session import SessionConfig
from bm_sim2real.state_machine import StateMachine


class Obliging:
    """Confirms each question after that many polls."""

    def __init__(self, polls):
        self._polls = polls
        self._left = 0
        self.asked = []

    def ask(self, text):
        self.asked.append(text)
        self._left = self._polls

    def has_answered(self):
        self._left -= 1
        return self._left < 0


class HungRobot(MujocoRobot):
    """On its gantry from the start; the gantry lets it down as in `bm sim-robot`."""

    def connect(self):
        super().connect()
        self.hang()
        self._gantry_watch = Gantry(self, lower_after=4.0)

    def step(self):
        self._gantry_watch.tick(self._written)
        super().step()


@pytest.fixture
def stage(tmp_path, balancer):
    bench = Bench(tmp_path, body=HungRobot())
    policy = TrackerPolicy(balancer.contract, balancer.network, supplied=())
    machine = StateMachine(policy, balancer.stand, bench.robot.features)
    loop, operator, said = BridgedLoop(bench.client, machine), Obliging(150), []
    config = SessionConfig(stand_s=1.0, exit_damping_s=0.2)
    session = BridgedSession(loop, operator, config, lambda time, text: said.append(text))
    bench.session, bench.loop, bench.operator, bench.said = session, loop, operator, said
    yield bench
    bench.close()


def test_from_the_gantry_to_standing_free_and_damped_at_the_end(stage):
    stage.session.run(None)
    assert stage.loop.fault is None
    assert stage.said == ["damping", "hang", "stand", "damped, end"]
    body = stage.robot.body
    assert not body.is_hanging and body.pelvis_height() > 0.6
    stage.tick(260)  # in which the bridge takes the lease back and lets stiffness fade
    assert stage.is_damping and not stage.client.is_armed
    assert [question[:12] for question in stage.operator.asked] == ["Robot on the", "It balances."]


def test_a_clip_is_entered_played_and_left(stage, balancer):
    frame = balancer.stand
    parts = [frame.body_pos_w[:1], frame.body_quat_w[:1], frame.joint_pos[None]]
    clip = clip_from_qpos("still", *(part.repeat(50, axis=0) for part in parts), 50.0)
    stage.session.run(clip)
    assert stage.loop.fault is None
    assert [text for text in stage.said if text in [mode.value for mode in Mode]][1:] == [
        "hang",
        "stand",
        "running",
        "stand",
    ]


def test_the_remotes_red_button_ends_the_run_with_the_bridges_fault(stage):
    step = stage.loop.step

    def pressed_in_stand():
        if stage.loop.mode is Mode.STAND:
            stage.robot.wire.remote = Remote(buttons=Button.B)
        step()

    stage.loop.step = pressed_in_stand
    stage.session.run(None)
    assert stage.loop.fault.name == "estop" and "remote" in stage.loop.fault.detail
    assert stage.is_damping
    assert any("fault" in text for text in stage.said)


def test_a_refused_arming_moves_nothing(stage):
    stage.robot.wire.motor_temperature[0] = 84.0
    with pytest.raises(RobotError, match="arm: refused: a motor is at 84 degC"):
        stage.session.run(None)
    assert stage.is_damping


def test_without_an_answer_the_robot_is_never_armed(stage):
    stage.session._operator = Obliging(10**9)
    left = iter(range(60, -1, -1))
    stage.session._is_stopped = lambda: next(left, 0) == 0
    stage.session.run(None)
    assert stage.is_damping
    assert not any(event["event"] == "arm" for event in stage.events())


def test_notes_are_those_of_a_loop_in_one_process(stage):
    stage.session.run(None)
    notes = stage.loop.notes()
    assert notes["fault"] is None and notes["corrupt_readings"] == 0
    assert set(notes["effort_clamps"]) >= {"left_knee_joint"}
    assert notes["timing_ms"]["policy"]["p50"] > 0.0
