"""A node and its control process, two real processes: what is refused at the start, what an operator gets, who dies."""

import os
import queue
import signal
import threading

import numpy as np
import pytest

from bm_core.errors import RobotError
from bm_core.g1 import DEFAULT_ROOT_HEIGHT, G1
from bm_core.state import RobotState
from bm_sim2real.modes import Mode
from bm_sim2real.operation.channel import ChannelClosed
from bm_sim2real.operation.config import ControlConfig, Transport
from bm_sim2real.operation.control_client import ControlClient
from bm_sim2real.operation.messages import Ask, Ended, LinkReading, Step, Told, Verb

PATIENCE_S = 60.0
"""For an event that must come; a loaded machine may take long."""
CONFIG = ControlConfig(transport=Transport.TOPIC, motion="stand", stall_allowance_s=2.0, exit_damping_s=0.1)
LEASE = 41

pytestmark = pytest.mark.slow


class FarEnd:
    """The node: hears the control process, and plays a robot that hangs still behind topics."""

    def __init__(self, config=CONFIG):
        self.heard = queue.Queue()
        self.client = ControlClient(config, self.on_event)
        self.asked, self.grants = [], True
        self._is_armed, self._ends = False, threading.Event()
        self._thread = threading.Thread(target=self._talk)

    def on_event(self, event):
        if isinstance(event, Ask):
            self.asked.append(event.verb)
            if event.verb in (Verb.ARM, Verb.RESET):
                self._is_armed = self.grants and event.verb is Verb.ARM
                text = str(LEASE) if self.grants else "the robot is somebody else's"
                self.client.send(Told(verb=event.verb, is_granted=self.grants, text=text))
        self.heard.put(event)

    def talk(self):
        self._thread.start()

    def close(self):
        self._ends.set()
        if self._thread.ident:
            self._thread.join()
        self.client.close()

    def until(self, wanted):
        """The next event for which `wanted` holds."""
        while True:
            event = self.heard.get(timeout=PATIENCE_S)
            if wanted(event):
                return event

    def _talk(self):
        """Readings every 20 ms, numbered on."""
        zero, number = np.zeros(29), 0
        while not self._ends.wait(0.02):
            number += 1
            state = RobotState(
                seq=number,
                time=0.02 * number,
                joint_pos=G1.default_joint_pos,
                joint_vel=zero,
                joint_torque=zero,
                pelvis_quat_w=np.array([1.0, 0.0, 0.0, 0.0]),
                pelvis_gyro_b=zero[:3],
                pelvis_acc_b=np.array([0.0, 0.0, 9.81]),
                pelvis_pos_w=np.array([0.0, 0.0, DEFAULT_ROOT_HEIGHT]),
                pelvis_lin_vel_b=zero[:3],
            )
            self.client.send(LinkReading(state=state, is_armed=self._is_armed, fault="", holds=()))


@pytest.fixture
def node():
    far_end = FarEnd()
    far_end.ready = far_end.client.start()
    yield far_end
    far_end.close()


@pytest.fixture
def active(node):
    node.talk()
    node.found = node.client.activate()
    return node


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"policy": "nowhere.onnx"}, "nowhere.onnx"),
        ({"motion": "moonwalk"}, "moonwalk"),
        ({"planner": "nowhere.onnx"}, "nowhere.onnx"),
        ({"provider": "abacus"}, "abacus"),
    ],
)
def test_what_cannot_be_loaded_is_told_to_the_node_and_the_process_ends(changes, words):
    client = ControlClient(ControlConfig(**{**vars(CONFIG), **changes}), lambda _: None)
    with pytest.raises(RobotError, match=words):
        client.start()
    with pytest.raises(ProcessLookupError):
        os.kill(client.pid, 0)


def test_a_loaded_process_says_what_it_plays_and_refuses_to_before_it_is_active(node):
    ready = node.ready
    assert "stand" in ready.motions and ready.warnings == ()
    described = ready.description
    assert described["robot"] == G1.name and len(described["graph_sha256"]) == 64
    sizes = [term["size"] for term in described["terms"]]
    assert [term["offset"] for term in described["terms"]] == [sum(sizes[:i]) for i in range(len(sizes))]
    answer = node.client.request(Verb.PLAY, "stand")
    assert (answer.is_granted, answer.text) == (False, "play: refused: the policy is not active")
    node.client.deactivate()  # harmless


def test_activation_without_a_robot_is_refused_and_may_be_tried_again():
    far_end = FarEnd(ControlConfig(**{**vars(CONFIG), "ready_s": 0.2}))
    try:
        far_end.client.start()
        for _ in range(2):
            with pytest.raises(RobotError, match="no /robot_state"):
                far_end.client.activate()
    finally:
        far_end.close()


def test_steps_are_damping_until_an_operator_arms_and_hangs(active):
    assert active.found.startswith("bridge: by /robot_state and /joint_command")
    step = active.until(lambda event: isinstance(event, Step))
    assert step.mode is Mode.DAMPING and not step.is_armed and step.lease == 0
    assert not step.command.kp.any() and step.motion == "stand" and step.observation is None
    assert "not armed" in active.client.request(Verb.SET_MODE, "hang").text
    assert active.client.request(Verb.ARM).is_granted and active.asked == [Verb.ARM]
    assert active.client.request(Verb.SET_MODE, "hang").text == "hang"
    step = active.until(lambda event: isinstance(event, Step) and event.mode is Mode.HANG)
    assert (step.is_armed, step.lease) == (True, LEASE)
    numbers = [active.until(lambda event: isinstance(event, Step)).number for _ in range(5)]
    assert sorted(numbers) == numbers


def test_a_lease_that_the_far_end_refuses_is_refused_to_the_operator(active):
    active.grants = False
    answer = active.client.request(Verb.ARM)
    assert (answer.is_granted, answer.text) == (False, "the robot is somebody else's")


def test_an_emergency_stop_reaches_the_far_end_and_stays_until_it_is_reset(active):
    assert active.client.request(Verb.ESTOP, "smoke").is_granted
    step = active.until(lambda event: isinstance(event, Step) and event.fault is not None)
    assert step.mode is Mode.DAMPING and "smoke" in str(step.fault)
    assert active.asked == [Verb.ESTOP]
    assert "smoke" in active.client.request(Verb.ARM).text
    assert active.client.request(Verb.RESET).is_granted
    assert active.client.request(Verb.ARM).is_granted


def test_deactivating_damps_tells_how_it_went_and_can_be_followed_by_another_activation(active):
    active.until(lambda event: isinstance(event, Step) and event.number >= 3)
    active.client.deactivate()
    ended = active.until(lambda event: isinstance(event, Ended))
    assert ended.reason == "" and ended.notes["timing_ms"]["period"]["p50"] > 0.0
    assert Verb.DISARM in active.asked
    active.client.activate()
    assert active.until(lambda event: isinstance(event, Step)).number >= 1


def test_a_robot_that_falls_silent_ends_the_run_with_the_reason():
    far_end = FarEnd(ControlConfig(**{**vars(CONFIG), "stall_allowance_s": 0.0}))
    try:
        far_end.client.start()
        far_end.talk()
        far_end.client.activate()
        far_end._ends.set()
        ended = far_end.until(lambda event: isinstance(event, Ended))
        assert "no /robot_state for" in ended.reason
    finally:
        far_end.close()


def test_a_process_that_dies_is_heard_of_and_asked_no_more(active):
    os.kill(active.client.pid, signal.SIGKILL)
    active.until(lambda event: isinstance(event, ChannelClosed))
    with pytest.raises(RobotError, match="control process"):
        active.client.request(Verb.ARM)
    active.client.close()
    active.client.close()  # harmless the second time


def test_the_node_that_goes_takes_the_process_along(active):
    pid = active.client.pid
    active.client.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(RobotError, match="does not listen"):
        active.client.request(Verb.ARM)
