"""The bridge over DDS in lockstep: what reaches the motors, how it begins and ends. Limits: docs/safety.md."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from bridge_bench import Bench, assert_damping_for_good

from bm_core.errors import ConfigError, RobotError
from bm_sim2real.bridge import writer
from bm_sim2real.bridge.core import BridgeCore
from bm_sim2real.bridge.event_log import EventLog, read_events
from bm_sim2real.bridge.shared_memory import Word
from bm_sim2real.guard_limits import GuardLimits


def test_a_bridge_starts_disarmed_and_damping(bench):
    bench.run(3)
    assert bench.is_damping and bench.fault is None
    assert bench.robot.wire.counters.accepted > 20


def test_a_whole_status_is_there_before_the_first_tick_calls_clients(bench):
    BridgeCore(bench.robot, bench.memory, bench.config, bench.log, is_wall=False, realtime="SCHED_FIFO 70")
    before = bench.client.status()
    assert before["realtime"] == "SCHED_FIFO 70" and before["tick"] == 0
    bench.run(3)
    assert set(bench.client.status()) == set(before)


def test_an_armed_clients_command_reaches_the_motors(running):
    assert np.allclose(running.robot.wire.command.q, running.q, atol=1e-6)
    assert running.client.is_armed


def test_a_dry_run_computes_and_sends_nothing(tmp_path):
    bench = Bench(tmp_path, is_dry_run=True)
    bench.start()
    counters, damping = bench.robot.wire.counters, bench.is_damping
    bench.close()
    assert not damping
    assert counters.accepted == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_command_that_is_no_number_never_reaches_the_robot(running, value):
    q = running.q.copy()
    q[7] = value
    running.put(q=q)
    running.tick()
    assert np.isfinite(running.robot.wire.command.q).all()
    running.seq += 1
    assert running.ticks_until_damping() == 10
    assert running.fault.name == "refused_command" and "right_hip_roll_joint" in running.fault.detail
    assert_damping_for_good(running)


def test_a_huge_target_is_cut_to_the_effort_limit(running):
    running.run(8)  # past the entry, where the slew limit would act first
    running.put(q=running.q + 50.0)
    running.tick()
    state = running.robot.read()
    sent = running.written
    torque = sent.kp * (sent.q - state.joint_pos) - sent.kd * state.joint_vel
    assert np.abs(torque).max() < 150.0
    assert running.core.guard.counters.effort.sum() > 20


def test_damping_comes_in_softly_after_connecting(bench):
    gains = []
    for _ in range(260):
        bench.tick()
        gains.append(float(bench.written.kd[0]))
    assert gains[0] < 0.1 and gains[124] == pytest.approx(4.0, abs=0.1) and gains[-1] == 8.0
    assert not bench.written.kp.any()


def test_a_full_disk_does_not_stop_the_bridge(tmp_path):
    bench = Bench(tmp_path)
    bench.log._path = tmp_path / "no such folder" / "events.jsonl"
    bench.start()
    bench.core.guard.estop("to have an event")
    bench.tick(3)
    bench.log.close()
    lost, fault = bench.log.lost, bench.fault
    bench.close()
    assert lost >= 2 and fault.name == "estop"


def test_status_tells_mode_fault_and_counters(running):
    running.run(3)
    status = running.client.status()
    assert status["mode"] == "running" and status["is_armed"] and status["fault"] is None
    assert status["counters"]["corrupt"] == 0
    running.core.guard.estop("now")
    running.tick()
    assert running.client.fault.name == "estop"


def test_the_way_out_damps_and_disarms(running):
    running.core.damp()
    running.tick()
    assert running.is_damping
    assert not running.memory.words[Word.LEASE]


@pytest.fixture
def ending(tmp_path):
    """A bridge that has been told to end and whose exit is short; its `run` is the writer's loop."""
    bench = Bench(tmp_path, user_control=True, limits=GuardLimits(release_ticks=5, exit_damping_s=0.02))
    bench.memory.words[Word.SHUTDOWN] = 1
    signals = SimpleNamespace(ends=False, takes_estop=lambda: False)
    bench.end = lambda: writer._run(bench.core, signals)
    yield bench
    bench.close()


def test_a_slow_hand_back_does_not_stop_the_writers_heart(ending):
    """The guardian waits 10 of its ticks: what stands still longer is replaced, and the end is no orderly one."""
    words, seen = ending.memory.words, []

    def slow():
        for _ in range(10):
            seen.append((int(words[Word.HEARTBEAT]), int(words[Word.HAS_ENDED])))
            time.sleep(0.05)

    ending.robot.hand_back = slow
    ending.end()
    beats, ended = zip(*seen, strict=True)
    assert beats[-1] - beats[0] > 50 and not any(ended)
    assert words[Word.HAS_ENDED]


def test_a_refused_hand_back_is_in_the_log_and_the_writer_ends(ending):
    def refuse():
        raise RobotError("the loco service answered 7")

    ending.robot.hand_back = refuse
    ending.end()
    assert ending.memory.words[Word.HAS_ENDED]
    events = {event["event"]: event for event in ending.events()}
    assert events["hand_back_refused"]["detail"] == "the loco service answered 7" and "end" in events


def test_a_hand_back_that_breaks_ends_the_writer_as_any_error_does(ending):
    ending.robot.hand_back = lambda: {}["missing"]
    with pytest.raises(KeyError):
        ending.end()
    assert not ending.memory.words[Word.HAS_ENDED]  # the guardian shall take over


def test_the_event_log_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "folder" / "events.jsonl"
    log = EventLog(path, "writer")
    log.add("start", 0)
    log.close()
    assert [event["event"] for event in read_events(path)] == ["start"]


def test_an_event_log_that_cannot_be_written_is_refused_at_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/events\.jsonl: cannot be written: .*is a file"):
        EventLog(tmp_path / "file" / "events.jsonl", "writer")


def test_events_that_are_lost_are_told_at_the_end(tmp_path, capsys):
    log = EventLog(tmp_path / "events.jsonl", "writer")
    (tmp_path / "events.jsonl").unlink()
    (tmp_path / "events.jsonl").mkdir()
    for tick in range(3):
        log.add("start", tick)
    log.close()
    log.close()
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "events.jsonl: 3 events of the writer could not be written: Is a directory" in told
