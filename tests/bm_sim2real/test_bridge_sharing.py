"""Two clients at one bridge, and a run that finds another bridge, another's faults or holds than it asked for."""

import dataclasses
import threading
from pathlib import Path

import pytest
from bridge_bench import Bench
from test_bridge_session import Obliging, stage  # noqa: F401

from bm_core.errors import RobotError
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.launch import bridge_client, log_elsewhere
from bm_sim2real.bridge.loop import BridgedLoop
from bm_sim2real.bridge.records import unpack_command
from bm_sim2real.bridge.session import BridgedSession
from bm_sim2real.bridge.shared_memory import BridgeMemory, Word
from bm_sim2real.bridge.status import log_name
from bm_sim2real.holds import Hold
from bm_sim2real.modes import Mode
from bm_sim2real.operation.active_run import ActiveRun
from bm_sim2real.operation.channel import Channel
from bm_sim2real.operation.config import ControlConfig
from bm_sim2real.operation.playlist import load_playlist
from bm_sim2real.session import SessionConfig
from bm_sim2real.state_machine import StateMachine


def second_loop(stage):  # noqa: F811
    """Another process at the same bridge: a client and a machine of its own."""
    machine = StateMachine(stage.loop.machine.policy, stage.loop.machine._stand, stage.robot.features)
    return BridgedLoop(BridgeClient("lo", idle=stage.tick), machine)


def in_turns(stage, other, periods):  # noqa: F811
    """Both loops step; each step lets a period pass, after which the armed client speaks."""
    for _ in range(periods):
        other.step()
        stage.tick()  # or what the other one has put would be covered unseen
        stage.put(mode=Mode.HANG)


def test_a_client_that_only_waits_puts_nothing_into_the_armed_ones_mailbox(stage):  # noqa: F811
    stage.client.arm()
    in_turns(stage, second_loop(stage), 30)
    assert stage.fault is None and stage.client.is_armed
    assert stage.core.guard.counters.refused == 0


def test_a_client_that_damps_after_its_release_leaves_the_next_one_alone(stage):  # noqa: F811
    first = second_loop(stage)
    first.client.arm()
    first.machine.hang(first.client.read())
    for _ in range(5):
        first.step()
    armed, step = [], first.step

    def step_beside_another():
        if not armed:
            stage.tick()  # in which the bridge takes the first one's lease back
            stage.client.arm()
            armed.append(True)
        step()
        stage.tick()
        stage.put(mode=Mode.HANG)

    first.step = step_beside_another
    first.damp(0.6)
    assert stage.fault is None and stage.client.is_armed and not first.client.is_armed
    assert stage.core.guard.counters.refused == 0


def test_after_a_release_nothing_carries_the_old_lease_even_before_the_writer_has_seen_it(running):
    lease = running.client.lease
    running.client.release()
    assert not running.client.is_armed and running.client.lease == 0
    running.client.release()  # once more must not take back the first
    running.put()
    data = running.memory.command.read()
    assert unpack_command(data).lease != lease
    running.tick()
    assert running.memory.words[Word.LEASE] == 0


def test_a_run_beside_an_armed_client_is_refused_before_anybody_is_asked(stage):  # noqa: F811
    other = BridgeClient("lo", idle=stage.tick)
    other.arm()
    with pytest.raises(RobotError, match=r"lo: the bridge \(processes \d+ and \d+\) is armed by another client; end"):
        stage.session.run(None)
    assert stage.operator.asked == [] and other.is_armed and stage.fault is None


def test_a_hold_of_an_earlier_run_is_reset_before_arming(stage):  # noqa: F811
    """Its operator was lost and no fault came; the next one holds the key and must get up."""
    stage.client.heartbeat()
    stage.start()
    stage.run(30)
    assert stage.client.holds == Hold.OPERATOR and stage.fault is None
    stage.client.release()
    stage.tick(300)
    step = stage.loop.step

    def beating():
        stage.client.own_heartbeat()
        step()

    stage.loop.step = beating
    stage.session.run(None)
    assert stage.said[1] == "reset after hold: operator"
    assert [said for said in stage.said if said in ("hang", "stand", "damped, end")] == ["hang", "stand", "damped, end"]
    assert stage.loop.fault is None and stage.client.holds == Hold.NONE


def test_a_fault_while_somebody_is_asked_to_arm_is_told(stage):  # noqa: F811
    stage.session._operator = Obliging(10**9)
    step, steps = stage.loop.step, iter(range(100))

    def pressed():
        if next(steps) == 5:
            stage.client.estop()
        step()

    stage.loop.step = pressed
    stage.session.run(None)
    assert stage.said[-1].startswith("fault: ") and stage.said[-1].endswith("asked for by a client")


def test_only_the_armed_clients_own_operator_keeps_it_going(running):
    """Another run waits to arm, its operator there: the lost one's robot must stand all the same."""
    other = BridgeClient("lo", idle=running.tick)
    running.client.own_heartbeat()
    for _ in range(25):
        running.client.own_heartbeat()
        running.run(1)
    assert running.client.holds == Hold.NONE
    for _ in range(30):
        other.own_heartbeat()
        running.run(1)
    assert running.client.holds == Hold.OPERATOR


def test_a_stranger_who_beats_does_not_keep_the_armed_ones_robot_going(running):
    """Such as a ROS node that relays somebody's signal, beside a run with an operator of its own."""
    stranger = BridgeClient("lo", idle=running.tick)
    running.client.heartbeat()
    running.tick()
    for _ in range(24):
        stranger.heartbeat()
        running.run(1)
    assert running.client.holds == Hold.NONE
    for _ in range(2):
        stranger.heartbeat()
        running.run(1)
    assert running.client.holds == Hold.OPERATOR


def test_a_stranger_who_beats_all_the_time_hides_no_beat_of_the_armed_ones(running):
    stranger = BridgeClient("lo", idle=running.tick)
    for _ in range(40):
        running.client.heartbeat()
        running.tick()
        stranger.heartbeat()
        running.run(1)
    assert running.client.holds == Hold.NONE


def test_who_has_lost_the_lease_does_not_beat_for_the_next_one(running):
    second = BridgeClient("lo", idle=running.tick)
    running.client.heartbeat()
    running.core.disarm()  # behind the back of the first, which goes on
    second.arm()
    second.heartbeat()
    running.tick(10)
    for _ in range(26):
        running.client.heartbeat()
        running.tick(10)
    assert running.client.holds == Hold.OPERATOR


def test_a_relayed_operator_counts_where_the_armed_one_says_so_and_a_waiting_one_until_somebody_is(tmp_path):
    bench = Bench(tmp_path, needs_heartbeat=True)
    try:
        BridgeClient("lo", idle=bench.tick).own_heartbeat()
        relay = BridgeClient("lo", idle=bench.tick)
        bench.client.is_operator_relayed = True
        bench.start()
        for _ in range(40):
            relay.heartbeat()
            bench.run(1)
        assert bench.client.holds == Hold.NONE
    finally:
        bench.close()


def test_the_policy_of_the_ros_node_lets_its_operator_be_relayed(stage, monkeypatch):  # noqa: F811
    """The heartbeat's topic ends in another process than the policy's commands come from."""
    monkeypatch.setattr(BridgeClient, "find", lambda interface, ready_s: stage.client)
    ours, theirs = Channel.pair()
    try:
        ActiveRun(ControlConfig(), ours, stage.loop.machine, load_playlist("", "", ""), None)
    finally:
        ours.close()
        Channel(theirs).close()
    stage.start()
    relay = BridgeClient("lo", idle=stage.tick)
    for _ in range(40):
        relay.heartbeat()
        stage.run(1)
    assert stage.client.holds == Hold.NONE and stage.client.status()["is_operator_there"]


@pytest.fixture
def bridge(tmp_path):
    """Makes a running bridge of such a config; what a run finds that comes later."""
    benches = []

    def make(**config):
        benches.append(Bench(tmp_path, **config))
        return benches[0]

    yield make
    for bench in benches:
        bench.close()


@pytest.mark.parametrize(
    "running, asked, words",
    [
        ({"is_dry_run": True}, {}, r"lo: the bridge \(processes \d+ and \d+\) is a dry run; end it"),
        ({}, {"is_dry_run": True}, "a bridge is running that does send commands; end it for a dry run"),
        ({}, {"user_control": True}, "was started without --user-control"),
        ({}, {"estimates_base": False}, "was started without --no-estimator"),
    ],
)
def test_a_bridge_that_is_not_what_a_run_asks_for_is_refused(bridge, running, asked, words):
    bridge(**running)
    with pytest.raises(RobotError, match=words), bridge_client(BridgeConfig(**asked)):
        pass


@pytest.mark.parametrize(
    "running, asked",
    [
        ({}, {}),
        ({"is_dry_run": True}, {"is_dry_run": True}),
        ({"user_control": True, "estimates_base": False}, {}),  # nobody has asked for the contrary
        ({}, {"needs_battery": False}),  # the simulated robot needs none
    ],
)
def test_a_bridge_that_is_what_a_run_asks_for_is_joined(bridge, running, asked):
    bench = bridge(**running)
    with bridge_client(BridgeConfig(**asked)) as client:
        assert client.pids == (int(bench.memory.words[Word.GUARDIAN_PID]), 0)
        status = client.status()
    config = bench.config
    assert (status["is_dry_run"], status["user_control"]) == (config.is_dry_run, config.user_control)
    assert (status["estimates_base"], status["needs_battery"]) == (config.estimates_base, config.needs_battery)


def test_a_status_that_cannot_be_read_agrees_with_nothing(bridge, monkeypatch):
    bridge(is_dry_run=True)
    monkeypatch.setattr("bm_sim2real.bridge.launch._STATUS_S", 0.05)
    monkeypatch.setattr(BridgeClient, "status", lambda self: {})
    with pytest.raises(RobotError, match="status cannot be read"), bridge_client(BridgeConfig()):
        pass


def test_a_log_that_a_running_bridge_does_not_write_is_one_warning(bridge, tmp_path):
    bench = bridge(log=tmp_path / "a.jsonl")
    status = bench.client.status()
    assert status["log"] == str(tmp_path / "a.jsonl")
    asked = BridgeConfig(log=tmp_path / "b.jsonl")
    assert log_elsewhere(asked, status).endswith(f"the bridge was there before this run and logs to {status['log']}")
    assert log_elsewhere(asked, {**status, "log": None}).endswith("logs to no file")
    assert log_elsewhere(dataclasses.replace(asked, log=bench.config.log), status) == ""
    assert log_elsewhere(BridgeConfig(), status) == ""


def test_the_status_has_room_for_the_longest_log_name_and_much_else(bridge):
    bench = bridge()
    length = len(bench.memory.status.read()) + 12 * len(log_name(Path("/") / (2000 * "x")))
    assert length + 1500 < BridgeMemory.STATUS_BYTES


def test_a_policy_that_needs_the_base_is_refused_where_nobody_estimates_it(bridge, balancer):
    bench, asked = bridge(estimates_base=False), []

    class Needy:
        needs_base = True
        fault = None

    class Asked:
        def ask(self, text):
            asked.append(text)

    session = BridgedSession(BridgedLoop(bench.client, Needy()), Asked(), SessionConfig(), lambda time, text: None)
    with pytest.raises(RobotError, match="estimates no base state, which this policy needs"):
        session.run(None)
    assert asked == []


def test_a_bench_that_is_closed_leaves_no_thread(tmp_path):
    before = threading.enumerate()
    Bench(tmp_path).close()
    assert threading.enumerate() == before
