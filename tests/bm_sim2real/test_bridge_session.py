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


class Absent(Obliging):
    """Confirms what leads up, and is gone when somebody should take the rope."""

    def has_answered(self):
        return super().has_answered() and not self.asked[-1].startswith("Pull the rope")


def still_clip(frame, seconds=1.0):
    parts = [frame.body_pos_w[:1], frame.body_quat_w[:1], frame.joint_pos[None]]
    return clip_from_qpos("still", *(part.repeat(round(50 * seconds), axis=0) for part in parts), 50.0)


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
    assert [question[:12] for question in stage.operator.asked] == ["Robot on the", "It balances.", "Pull the rop"]


def test_a_clip_is_entered_played_and_left(stage, balancer):
    stage.session.run(still_clip(balancer.stand))
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
    stage.session._stops = lambda: int(next(left, 0) == 0)
    stage.session.run(None)
    assert stage.is_damping
    assert not any(event["event"] == "arm" for event in stage.events())


def test_notes_are_those_of_a_loop_in_one_process(stage):
    stage.session.run(None)
    notes = stage.loop.notes()
    assert notes["fault"] is None and notes["corrupt_readings"] == 0
    assert set(notes["effort_clamps"]) >= {"left_knee_joint"}
    assert notes["timing_ms"]["policy"]["p50"] > 0.0


class Steps:
    """What the loop did, and something to do at one of its steps."""

    def __init__(self, stage):
        self.modes, self.at = [], {}
        self._step, self._loop = stage.loop.step, stage.loop
        stage.loop.step = self

    def __call__(self):
        self._step()
        self.modes.append(self._loop.mode)
        action = self.at.get(self.modes.count(Mode.RUNNING))
        if action is not None and self._loop.mode is Mode.RUNNING:
            action()

    def standing_at_the_end(self):
        """Control steps in STAND before the last damping."""
        ended = self.modes[: len(self.modes) - self.modes[::-1].index(Mode.STAND)]
        return next((k for k, mode in enumerate(ended[::-1]) if mode is not Mode.STAND), len(ended))


def test_a_robot_that_stands_free_is_not_dropped_before_somebody_holds_the_rope(stage):
    steps = Steps(stage)
    stage.session._operator = Absent(50)
    stops = iter([0] * 500 + [1] * 10**6)
    stage.session._stops = lambda: next(stops)
    stage.session.run(None)
    assert steps.standing_at_the_end() > 150 and stage.loop.fault is None


def test_the_first_ctrl_c_brakes_to_standing_and_only_the_second_damps(stage, balancer):
    steps, stops = Steps(stage), [0]
    stage.session._operator = Absent(50)
    stage.session._stops = lambda: stops[0]
    steps.at[20] = lambda: stops.__setitem__(0, 1)
    count = iter(range(10**6))

    def watched(question=stage.session._operator.ask):
        def ask(text):
            question(text)
            if text.startswith("Pull the rope"):
                stage.session._stops = lambda: 1 if next(count) < 160 else 2

        return ask

    stage.session._operator.ask = watched()
    stage.session.run(still_clip(balancer.stand, seconds=20.0))
    assert steps.modes.count(Mode.RUNNING) < 40
    assert steps.standing_at_the_end() > 150 and stage.loop.fault is None
    assert stage.robot.body.pelvis_height() > 0.6 or stage.is_damping


def test_a_lost_operator_ends_standing_not_damping(stage, balancer):
    """L1 let go while a clip is played: the bridge holds, the machine brakes, and the run goes on standing."""
    steps = Steps(stage)
    operator = stage.session._operator = Absent(50)
    stops = iter([0] * 600 + [1] * 10**6)
    stage.session._stops = lambda: next(stops)
    stage.client.heartbeat()
    step = steps._step

    def beating():
        if Mode.RUNNING not in steps.modes:
            stage.client.heartbeat()
        step()

    steps._step = beating
    stage.session.run(still_clip(balancer.stand, seconds=20.0))
    assert stage.client.holds and operator.asked[-1].startswith("Pull the rope")
    assert steps.modes.count(Mode.RUNNING) < 60
    assert steps.standing_at_the_end() > 150 and stage.loop.fault is None


def test_a_motion_that_is_refused_leaves_the_robot_standing_until_the_rope_is_held(stage, balancer):
    steps = Steps(stage)
    clip = still_clip(balancer.stand)
    clip.joint_pos[0] += 2.0
    with pytest.raises(RobotError, match="cannot be entered"):
        stage.session.run(clip)
    assert [question[:12] for question in stage.operator.asked][-1] == "Pull the rop"
    assert steps.standing_at_the_end() > 150


def test_a_client_that_loses_its_lease_says_so(stage):
    stage.client.arm()
    machine, loop = stage.loop.machine, stage.loop
    machine.hang(stage.client.read())
    for _ in range(5):
        loop.step()
    assert loop.fault is None
    stage.core.disarm()
    for _ in range(3):
        loop.step()
    assert loop.fault.name == "lease_lost" and loop.mode is Mode.DAMPING
