"""The bridge in lockstep: emergency stops, and the heartbeat of an operator who is there."""

import pytest
from bridge_bench import Bench, assert_damping_for_good

from bm_core.errors import RobotError
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.core import BridgeCore
from bm_sim2real.bridge.shared_memory import BridgeMemory, Word
from bm_sim2real.holds import Hold
from bm_sim2real.modes import Mode
from bm_sim2real.robots.unitree.remote import Button, Remote


@pytest.mark.parametrize("mode", list(Mode))
def test_the_remotes_red_button_damps_at_once_in_every_mode(bench, mode):
    bench.client.arm()
    for _ in range(2):
        bench.put(mode=mode)
        bench.tick(10)
    bench.robot.wire.remote = Remote(buttons=Button.B)
    bench.tick(2)  # one for the reading to leave the robot
    assert bench.is_damping and bench.fault.name == "estop"
    assert_damping_for_good(bench)


def test_a_clients_estop_damps_at_once_without_a_lease(running):
    BridgeClient("lo", idle=running.tick).estop()
    running.tick()
    assert running.is_damping and running.fault.name == "estop"


def test_a_red_button_that_is_still_held_refuses_reset_and_arming(running):
    running.robot.wire.remote = Remote(buttons=Button.B)
    running.tick(4)
    assert running.fault.name == "estop"
    with pytest.raises(RobotError, match="reset: refused, still there: .*red button"):
        running.client.reset()
    with pytest.raises(RobotError, match="arm: refused"):
        running.client.arm()
    running.robot.wire.remote = Remote()
    running.tick(2)
    running.client.reset()
    running.client.arm()


def test_a_red_button_held_since_before_the_bridge_began_refuses_arming(bench):
    bench.robot.wire.remote = Remote(buttons=Button.B)
    bench.robot.step()
    bench.core = BridgeCore(bench.robot, bench.memory, bench.config, bench.log, is_wall=False)
    bench.tick()
    with pytest.raises(RobotError, match="arm: refused: .*red button"):
        bench.client.arm()


def test_two_clients_that_press_at_the_same_moment_are_both_heard(running):
    """Both read the word before either wrote: a counter would end where the bridge has already answered it."""
    first, second = running.client, BridgeClient("lo", idle=running.tick)
    words = running.memory.words

    class Late:
        """The second client's view, read before the first client's press."""

        def __init__(self):
            self.seen = int(words[Word.ESTOP_REQUESTS])

        def __getitem__(self, word):
            return self.seen if word is Word.ESTOP_REQUESTS else words[word]

        def __setitem__(self, word, value):
            words[word] = value

    late = Late()
    first.estop()
    running.tick(2)
    assert running.fault.name == "estop"
    first.reset()
    second._words = late
    second.estop()
    running.tick()
    assert running.fault is not None and running.fault.name == "estop"


def test_two_clients_that_reset_in_the_same_tick_are_both_answered(running):
    running.client.estop()
    running.tick(2)
    second, asked = BridgeClient("lo", idle=running.tick), []

    def another_asks():
        if not asked:
            asked.append(True)
            second.reset()
        running.tick()

    BridgeClient("lo", idle=another_asks).reset()
    assert asked and running.fault is None


def test_an_emergency_stop_while_the_bridge_starts_is_not_forgotten(bench):
    """Pressed when the memory is there and the core is not yet: a guardian's signal, or a client that is quick."""
    bench.memory.words[Word.ESTOP_REQUESTS] = 7
    bench.core = BridgeCore(bench.robot, bench.memory, bench.config, bench.log, is_wall=False)
    bench.tick()
    assert bench.fault is not None and bench.fault.name == "estop"


def test_an_emergency_stop_of_a_former_bridge_is_gone_with_it(bench):
    bench.client.estop()
    bench.tick()
    bench.memory.close()
    bench.memory = BridgeMemory.create("lo")
    assert not bench.memory.words[Word.ESTOP_REQUESTS]


def test_an_emergency_stop_after_another_fault_is_in_the_log(running):
    running.core.guard.latch("motor_error", "for the test")
    running.client.estop()
    running.tick()
    assert running.fault.name == "motor_error"
    assert [event["by"] for event in running.events() if event["event"] == "estop"] == ["client"]


def beat_and_run(bench, periods, beats=True):
    for _ in range(periods):
        if beats:
            bench.client.heartbeat()
        bench.run(1)


def test_without_a_heartbeat_hardware_is_not_armed(tmp_path):
    bench = Bench(tmp_path, needs_heartbeat=True)
    try:
        with pytest.raises(RobotError, match="arm: refused: no operator heartbeat"):
            bench.client.arm()
        bench.client.heartbeat()
        bench.client.arm()
    finally:
        bench.close()


def test_a_lost_heartbeat_is_a_hold_after_250_ticks_and_stays_until_reset(running):
    beat_and_run(running, 5)
    running.client.heartbeat()
    running.put()
    running.tick()  # the tick that sees the last beat
    ticks = 0
    while not running.client.holds:
        if ticks % 10 == 0:
            running.put()
        running.tick()
        ticks += 1
    assert (ticks, running.client.holds) == (250, Hold.OPERATOR)
    assert running.fault is None and running.client.is_armed and not running.is_damping
    beat_and_run(running, 5)
    assert running.client.holds == Hold.OPERATOR
    running.client._words[Word.RESET_REQUESTS] += 1
    beat_and_run(running, 1)
    assert running.client.holds == Hold.NONE
    assert running.client.status()["is_operator_there"]


def test_a_bridge_whose_operator_never_spoke_holds_nothing_in_simulation(running):
    running.run(40)
    assert running.client.holds == Hold.NONE and not running.client.status()["is_operator_there"]


def test_the_deadman_key_of_the_remote_is_a_heartbeat(tmp_path):
    bench = Bench(tmp_path, needs_heartbeat=True)
    try:
        bench.robot.wire.remote = Remote(buttons=Button.L1)
        bench.tick(3)
        bench.start()
        bench.run(30)
        assert bench.client.holds == Hold.NONE
        bench.robot.wire.remote = Remote()  # let go, or out of reach
        bench.run(26)
        assert bench.client.holds == Hold.OPERATOR and bench.fault is None
    finally:
        bench.close()
