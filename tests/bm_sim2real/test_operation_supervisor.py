"""The operator's side of the state machine: a link that grants everything, the balancer as policy, in lockstep."""

import numpy as np
import pytest

from bm_core.errors import RobotError
from bm_core.motion import clip_from_qpos
from bm_sim2real.faults import Fault, Reaction
from bm_sim2real.guard import CommandGuard
from bm_sim2real.holds import Hold
from bm_sim2real.loop import ControlLoop
from bm_sim2real.modes import Mode
from bm_sim2real.operation.config import ControlConfig, Start
from bm_sim2real.operation.messages import Note, Played, Request, Verb
from bm_sim2real.operation.playlist import Playlist
from bm_sim2real.operation.supervisor import Supervisor
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.robots.gantry import Gantry
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.state_machine import StateMachine


class Link:
    """A bridge that grants everything."""

    def __init__(self):
        self.is_armed, self.fault, self.calls = False, None, []

    def arm(self):
        self.calls.append("arm")
        self.is_armed = True

    def estop(self):
        self.calls.append("estop")

    def reset(self):
        self.calls.append("reset")

    def reset_estimate(self):
        self.calls.append("reset_estimate")


class HungRobot(MujocoRobot):
    """On a gantry that lets it down as that of `bm sim-robot` does."""

    def connect(self):
        super().connect()
        self.hang()
        self._gantry_watch = Gantry(self, lower_after=3.5)

    def step(self):
        self._gantry_watch.tick(self._written)
        super().step()


class Stage:
    def __init__(self, balancer, **settings):
        frame = balancer.stand
        parts = [frame.body_pos_w[:1], frame.body_quat_w[:1], frame.joint_pos[None]]
        clips = [clip_from_qpos(name, *(part.repeat(25, axis=0) for part in parts), 50.0) for name in ("still", "calm")]
        self.robot, self.link, self.told = HungRobot(), Link(), []
        self.robot.connect()
        policy = TrackerPolicy(balancer.contract, balancer.network, supplied=())
        self.machine = StateMachine(policy, balancer.stand, self.robot.features)
        self.loop = ControlLoop(self.robot, self.machine, CommandGuard())
        config = ControlConfig(settle_s=2.5, pause_s=0.2, **settings)
        self.supervisor = Supervisor(self.machine, self.link, Playlist(clips), config, self.told.append)
        self.modes = []

    def run(self, seconds):
        for _ in range(round(seconds / 0.02)):
            self.loop.step()
            self.supervisor.after_step(self.robot.read())
            if not self.modes or self.modes[-1] is not self.machine.mode:
                self.modes.append(self.machine.mode)

    def ask(self, verb, argument="", number=7):
        return self.supervisor.answer(Request(id=number, verb=verb, argument=argument), self.robot.read())

    def played(self):
        return [(event.id, event.is_completed) for event in self.told if isinstance(event, Played)]


@pytest.fixture
def manual(balancer):
    return Stage(balancer)


def up(stage):
    """By the operator's hand to STAND, let down."""
    assert stage.ask(Verb.ARM).is_granted
    stage.run(0.1)
    assert stage.ask(Verb.SET_MODE, "hang").is_granted
    stage.run(3.1)
    assert stage.ask(Verb.SET_MODE, "stand").is_granted
    stage.run(2.0)


def test_by_itself_it_arms_stands_and_plays_again_and_again(balancer):
    stage = Stage(balancer, start=Start.PLAY, is_repeated=True)
    stage.run(10.0)
    assert stage.link.calls[0] == "arm"
    assert stage.modes[:5] == [Mode.HANG, Mode.STAND, Mode.RUNNING, Mode.STAND, Mode.RUNNING]
    assert stage.played()[:2] == [(0, True), (0, True)]
    assert stage.machine.fault is None


def test_started_to_stand_it_waits_there(balancer):
    stage = Stage(balancer, start=Start.STAND)
    stage.run(8.0)
    assert stage.modes == [Mode.HANG, Mode.STAND]


def test_nothing_moves_by_itself_in_manual(manual):
    manual.run(1.0)
    assert manual.modes == [Mode.DAMPING] and manual.link.calls == []


def test_hang_is_refused_before_arming(manual):
    answer = manual.ask(Verb.SET_MODE, "hang")
    assert not answer.is_granted and "not armed" in answer.text
    assert manual.machine.mode is Mode.DAMPING


def test_play_answers_with_the_request_that_asked_for_it(manual):
    up(manual)
    assert manual.ask(Verb.PLAY, "calm", number=42).text == "calm"
    manual.run(2.0)
    assert manual.played() == [(42, True)]


def test_standing_ends_a_motion_as_not_completed_and_it_does_not_begin_again(balancer):
    stage = Stage(balancer, start=Start.PLAY, is_repeated=True)
    while Mode.RUNNING not in stage.modes:
        stage.run(0.1)
    assert stage.ask(Verb.SET_MODE, "stand").is_granted
    stage.run(4.0)
    assert stage.played() == [(0, False)]
    assert stage.modes[-1] is Mode.STAND


def test_a_hold_of_the_bridge_stands_the_robot_until_it_is_reset(balancer):
    stage = Stage(balancer, start=Start.PLAY, is_repeated=True)
    while Mode.RUNNING not in stage.modes:
        stage.run(0.1)
    stage.machine.bridge_holds = Hold.OPERATOR
    stage.run(3.0)
    assert stage.machine.mode is Mode.STAND and stage.supervisor.held == "operator"
    assert stage.played() == [(0, False)]
    assert "held by operator" in stage.ask(Verb.PLAY).text
    stage.machine.bridge_holds = Hold.NONE
    assert stage.ask(Verb.RESET).is_granted and stage.ask(Verb.PLAY).is_granted


def test_a_fault_is_told_once_and_ends_what_goes_by_itself(balancer):
    stage = Stage(balancer, start=Start.PLAY, is_repeated=True)
    stage.run(1.0)
    stage.machine.latch(Fault("silent_policy", Reaction.DAMPING, 5, "planted"))
    stage.run(0.5)
    warnings = [note.text for note in stage.told if isinstance(note, Note) and note.is_warning]
    assert len(warnings) == 1 and "silent_policy" in warnings[0]
    stage.machine.reset()
    stage.run(1.0)
    assert stage.machine.mode is Mode.DAMPING


def test_estop_latches_here_and_in_the_bridge(manual):
    up(manual)
    manual.ask(Verb.ESTOP)
    manual.run(0.1)
    assert "estop" in manual.link.calls
    assert manual.machine.mode is Mode.DAMPING and manual.machine.fault.name == "estop"
    assert not manual.ask(Verb.ARM).is_granted


def test_a_refusal_of_the_bridge_is_the_answer(manual):
    def refuse():
        raise RobotError("arm: refused: a motor is at 84 degC")

    manual.link.arm = refuse
    assert manual.ask(Verb.ARM).text == "arm: refused: a motor is at 84 degC"


def test_selection_goes_round_and_names_what_is_unknown(manual):
    assert [manual.ask(Verb.SELECT, "+1").text for _ in range(3)] == ["calm", "still", "calm"]
    assert manual.ask(Verb.SELECT, "-1").text == "still"
    answer = manual.ask(Verb.SELECT, "dnace")
    assert not answer.is_granted and "known: still, calm" in answer.text


def test_an_unknown_mode_is_refused(manual):
    assert "none of" in manual.ask(Verb.SET_MODE, "dance").text


def test_commands_in_stand_are_finite(manual):
    up(manual)
    assert np.isfinite(manual.machine.output.q).all()
