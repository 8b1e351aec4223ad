"""The bridge over DDS in lockstep: lease, faults in writer ticks, what survives what. Limits: DESIGN section 3."""

import dataclasses
import itertools

import numpy as np
import pytest
from bridge_bench import Bench

from bm_core.errors import RobotError
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.core import BridgeCore
from bm_sim2real.bridge.guardian import SilenceCounter
from bm_sim2real.bridge.records import pack_command
from bm_sim2real.bridge.shared_memory import Word
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.holds import Hold
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.unitree.battery import Battery
from bm_sim2real.robots.unitree.channel import ChannelConfig
from bm_sim2real.robots.unitree.dds import LOW_COMMAND_TOPIC, DdsLink
from bm_sim2real.robots.unitree.remote import Button, Remote
from bm_sim2real.robots.unitree.sdk import load_sdk
from bm_sim2real.robots.unitree.simulated import WireConfig


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def running(bench):
    bench.start()
    assert not bench.is_damping
    return bench


def assert_damping_for_good(bench):
    """Latched: the client's next commands change nothing, and it has lost its lease."""
    bench.run(3)
    assert bench.is_damping and not bench.client.is_armed
    assert bench.robot.wire.command.kp.max() == 0.0


def test_a_bridge_starts_disarmed_and_damping(bench):
    bench.run(3)
    assert bench.is_damping and bench.fault is None
    assert bench.robot.wire.counters.accepted > 20


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


def test_a_silent_client_damps_after_30_ticks(running):
    running.put()
    running.tick()
    assert running.ticks_until_damping() == 30
    assert running.fault.name == "silent_policy"
    assert_damping_for_good(running)
    fault = next(event for event in running.events() if event["event"] == "fault")
    assert (fault["name"], fault["command_age_ticks"]) == ("silent_policy", 30)


def test_a_frozen_sequence_is_no_new_command(running):
    running.put()
    running.tick()
    for _ in range(29):
        running.put(seq=running.seq)
        running.tick()
    assert running.fault is None
    running.put(seq=running.seq)
    running.tick()
    assert running.fault.name == "silent_policy"
    assert running.core.guard.counters.dropped > 20


def test_a_silent_robot_is_damped_blindly_after_25_ticks(running):
    running.robot.wire.is_mute = True
    running.tick()  # the reading of the tick before is still fresh
    ticks = 0
    while not running.is_damping:
        if ticks % 10 == 0:
            running.put()
        running.tick()
        ticks += 1
    assert ticks == 25
    assert running.fault.name == "stale_state"
    assert_damping_for_good(running)


def test_a_robot_whose_clock_stands_is_damped_after_25_ticks(running):
    running.robot.wire.overrides["tick"] = running.robot.low_state.tick + 2
    for _ in range(4):
        running.run(1)
    fault = next(event for event in running.events() if event["event"] == "fault")
    assert (fault["name"], fault["clock_age_ticks"]) == ("frozen_clock", 25)


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


def test_a_stranger_on_the_command_topic_damps(running):
    intruder = DdsLink("lo")
    writer = intruder.writer(LOW_COMMAND_TOPIC, load_sdk().LowCmd)
    ticks = 0
    while not running.is_damping:
        if ticks % 10 == 0:
            running.put()
        running.tick()
        ticks += 1
        assert ticks <= 26
    assert running.fault.name == "second_publisher" and writer.guid in running.fault.detail
    with pytest.raises(RobotError, match="reset: refused|second_publisher"):
        running.client.reset()
        running.tick(30)
        running.client.reset()
        running.client.arm()
    intruder.close()


def test_with_a_stranger_arming_is_refused(bench):
    intruder = DdsLink("lo")
    keep = intruder.writer(LOW_COMMAND_TOPIC, load_sdk().LowCmd)
    bench.tick(30)
    with pytest.raises(RobotError, match="arm: refused"):
        bench.client.arm()
    assert keep.guid
    intruder.close()


def test_the_guardians_writer_is_no_stranger(tmp_path):
    guardian = DdsLink("lo")
    writer = guardian.writer(LOW_COMMAND_TOPIC, load_sdk().LowCmd)
    bench = Bench(tmp_path, guardian_guid=writer.guid)
    bench.start()
    bench.run(5)
    fault = bench.fault
    bench.close()
    guardian.close()
    assert fault is None


def test_a_wrong_lease_damps_after_one_period(running):
    low = dataclasses.replace(running.written, seq=10_000)
    running.put()
    running.tick()
    running.memory.command.write(pack_command(12345, PolicyCommand(low=low, mode=Mode.RUNNING)))
    running.tick()
    assert np.allclose(running.robot.wire.command.q, running.q, atol=1e-6)
    assert running.ticks_until_damping() == 10
    assert running.fault.name == "wrong_lease"


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


def test_a_motor_error_damps_at_once_and_is_named(running):
    running.robot.wire.motor_error[3] = 0x20
    running.tick(2)
    assert running.is_damping
    assert running.fault.name == "motor_error" and "left_knee_joint" in running.fault.detail


@pytest.mark.parametrize("celsius, fault", [(94.0, None), (95.0, "motor_temperature")])
def test_a_motor_at_95_degrees_damps(running, celsius, fault):
    running.robot.wire.motor_temperature[10] = celsius
    running.tick(2)
    assert (running.fault and running.fault.name) == fault


def test_a_motor_at_80_degrees_refuses_arming(bench):
    bench.robot.wire.motor_temperature[10] = 80.0
    bench.tick(2)
    with pytest.raises(RobotError, match="arm: refused: a motor is at 80 degC"):
        bench.client.arm()


def test_a_robot_that_lies_down_is_not_armed(bench):
    bench.robot.wire.overrides["imu_quat"] = np.array([0.70710678, 0.0, 0.70710678, 0.0])
    bench.tick(2)
    with pytest.raises(RobotError, match="arm: refused: the pelvis is not upright"):
        bench.client.arm()


@pytest.mark.parametrize(
    "field, value, name, ticks",
    [
        ("imu_quat", np.zeros(4), "imu_implausible", 3),
        ("imu_quat", np.full(4, np.nan), "imu_implausible", 3),
        ("imu_gyro", np.array([0.0, 40.0, 0.0]), "imu_implausible", 3),
        ("imu_acc", np.array([0.0, 0.0, np.inf]), "imu_implausible", 3),
        ("joint_vel", np.full(29, 60.0), "joint_speed", 3),
        ("joint_vel", np.full(29, -60.0), "joint_speed", 3),
        ("joint_vel", np.full(29, np.nan), "invalid_state", 2),
        ("joint_pos", np.full(29, np.nan), "invalid_state", 2),
    ],
)
def test_an_impossible_reading_damps(running, field, value, name, ticks):
    running.put()
    running.robot.wire.overrides[field] = value
    assert running.ticks_until_damping() == ticks
    assert running.fault.name == name


def test_heavy_packet_loss_alone_is_survived(tmp_path):
    bench = Bench(tmp_path, wire=WireConfig(seed=4))
    bench.start()
    bench.robot.wire.uplink.config = bench.robot.wire.downlink.config = ChannelConfig(loss=0.3)
    bench.run(50)
    fault, received = bench.fault, bench.robot.counters.received
    bench.close()
    assert fault is None
    assert received < 420


def test_corrupt_readings_alone_are_a_silent_robot(running):
    broken = bytearray(running.robot.wire.message())
    broken[300] ^= 1
    running.robot.wire.message = lambda: bytes(broken)
    for _ in range(4):
        running.run(1)
    assert running.fault.name == "stale_state"
    assert running.robot.counters.corrupt > 25


def test_a_late_writer_is_counted_in_simulation_and_damps_hardware(running):
    running.put()
    running.tick(overrun_s=0.5)
    assert running.fault is None and running.core.guard.counters.overruns == 1
    running.core.guard._view.is_hardware = True
    running.tick(overrun_s=0.5)
    assert running.fault.name == "writer_overrun"


def test_after_a_dead_client_the_next_one_resets_arms_and_runs(running):
    running.tick(40)
    assert running.fault.name == "silent_policy"
    successor = BridgeClient("lo", idle=running.tick)
    with pytest.raises(RobotError, match="a fault is latched"):
        successor.arm()
    successor.reset()
    successor.arm()
    running.client, running.seq = successor, 0  # it counts from 1 again, and the old one's sequence was higher
    running.run(5)
    assert running.fault is None and not running.is_damping


def test_an_old_client_cannot_command_its_successors_robot(running):
    old = running.client
    old.release()
    running.tick()
    running.client = BridgeClient("lo", idle=running.tick)
    running.client.arm()
    assert not old.is_armed
    running.run()
    old.put(PolicyCommand(low=dataclasses.replace(running.written, seq=9999), mode=Mode.RUNNING))
    running.tick(11)
    assert running.fault.name == "wrong_lease"


def test_a_second_client_cannot_arm(running):
    with pytest.raises(RobotError, match="another client has armed"):
        BridgeClient("lo", idle=running.tick).arm()
    running.run(1)
    assert running.fault is None


def test_releasing_the_lease_lets_stiffness_fade_for_half_a_second(running):
    before = running.written.kp
    running.client.release()
    running.tick()
    assert not running.client.is_armed
    shares = []
    for _ in range(260):
        running.tick()
        shares.append(float((running.written.kp / before).max()))
    assert shares[123] == pytest.approx(0.5, abs=0.01) and running.fault is None
    assert all(a >= b for a, b in itertools.pairwise(shares)) and shares[248:] == [0.0] * 12
    assert (running.written.kd[:15] == 8.0).all() and (running.written.kd[15:] == 3.0).all()


def test_a_fault_while_stiffness_fades_damps_at_once(running):
    running.client.release()
    running.tick(50)
    assert not running.is_damping
    running.core.guard.estop("now")
    running.tick()
    assert running.is_damping


def test_damping_comes_in_softly_after_connecting(bench):
    gains = []
    for _ in range(260):
        bench.tick()
        gains.append(float(bench.written.kd[0]))
    assert gains[0] < 0.1 and gains[124] == pytest.approx(4.0, abs=0.1) and gains[-1] == 8.0
    assert not bench.written.kp.any()


def test_reset_is_refused_while_the_cause_is_there(running):
    running.robot.wire.overrides["joint_vel"] = np.full(29, 60.0)
    running.tick(5)
    with pytest.raises(RobotError, match="reset: refused, still there.*joint_speed"):
        running.client.reset()


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


def test_torn_memory_counts_as_silence(running):
    running.memory.command._heads[0][2] = running.memory.command._heads[1][2] = 1
    running.memory.command._index[0] += 1
    running.tick(40)
    assert running.core.memory.command.torn >= 1
    assert running.fault.name == "silent_policy"


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


def test_the_guardian_counts_ten_of_its_own_ticks_and_forgives_a_late_one():
    counter = SilenceCounter(10)
    assert not any(counter.tick(0) for _ in range(50))  # the writer has not begun
    assert not counter.tick(1)
    assert [counter.tick(1) for _ in range(10)] == [False] * 9 + [True]
    counter = SilenceCounter(10)
    for heartbeat in range(1, 100):
        assert not any(counter.tick(heartbeat) for _ in range(9))


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


@pytest.mark.parametrize(
    "celsius, warm, held", [(74.0, False, 0), (75.0, True, 0), (85.0, True, Hold.MOTOR_TEMPERATURE)]
)
def test_a_warm_motor_is_published_a_hot_one_stands_the_robot(running, celsius, warm, held):
    running.robot.wire.motor_temperature[10] = celsius
    running.run(6)
    status = running.client.status()
    assert (status["is_warm"], running.client.holds) == (warm, held)
    assert (status["hottest_motor_c"], status["hottest_joint"]) == (celsius, "right_ankle_pitch_joint")
    assert running.fault is None


@pytest.mark.parametrize(
    "charge, is_low, held, fault",
    [
        (31.0, False, 0, None),
        (29.0, True, 0, None),
        (9.0, True, Hold.BATTERY, None),
        (2.0, True, Hold.BATTERY, "battery"),
    ],
)
def test_the_battery_warns_stands_and_damps(running, charge, is_low, held, fault):
    running.robot.wire.charge = charge
    running.run(60)  # it speaks twice a second
    assert running.client.status()["is_battery_low"] == is_low
    assert running.client.holds & Hold.BATTERY == held
    assert (running.fault and running.fault.name) == fault


def test_a_battery_below_20_percent_refuses_arming(tmp_path):
    bench = Bench(tmp_path, wire=WireConfig(charge=19.0))
    bench.tick(300)
    try:
        with pytest.raises(RobotError, match="arm: refused: the battery is at 19 %"):
            bench.client.arm()
    finally:
        bench.close()


@pytest.mark.parametrize("volts, percent", [(13 * 4.2, 100.0), (13 * 3.55, 15.0), (13 * 2.9, 0.0)])
def test_a_battery_that_says_nothing_is_judged_by_its_voltage(volts, percent):
    battery = Battery()
    assert np.isnan(battery.percent)
    battery.look(np.full(29, volts), None)
    assert battery.percent == pytest.approx(percent)
    battery.look(np.full(29, volts), 61.0)
    assert battery.percent == 61.0


@pytest.mark.parametrize("quat", [[0.70710678, 0.70710678, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [np.nan, 0.0, 0.0, 0.0]])
def test_a_torso_imu_that_disagrees_damps_after_a_tenth_of_a_second(tmp_path, quat):
    bench = Bench(tmp_path, body=MujocoRobot())
    try:
        bench.start()
        bench.run(10)
        assert bench.client.status()["torso_imu_error"] < 0.02 and bench.fault is None
        reading = bench.robot.body.torso_imu()
        bench.robot.body.torso_imu = lambda: reading._replace(quat=np.array(quat))
        ticks = 0
        while not bench.is_damping:
            if ticks % 10 == 0:
                bench.put()
            bench.tick()
            ticks += 1
        assert 46 <= ticks <= 52 and bench.fault.name == "imu_disagreement"
    finally:
        bench.close()


def test_a_torso_imu_that_falls_silent_is_no_fault(tmp_path):
    bench = Bench(tmp_path, body=MujocoRobot())
    try:
        bench.start()
        bench.run(3)
        bench.robot.wire.has_torso_imu = False
        bench.run(10)
        assert bench.fault is None and bench.client.status()["torso_imu_error"] is None
    finally:
        bench.close()


def test_clients_see_the_estimate_and_may_begin_it_anew(tmp_path):
    bench = Bench(tmp_path, body=MujocoRobot())
    try:
        bench.start()
        bench.run(10)
        state = bench.client.read()
        assert state.pelvis_pos_w[2] == pytest.approx(bench.robot.body.pelvis_height(), abs=0.01)
        assert bench.client.covariance().shape == (6, 6) and np.diag(bench.client.covariance()).min() > 0.0
        bench.core.estimate._estimator._filter.x[:3] += 5.0
        bench.client.reset_estimate()
        bench.tick()
        assert bench.client.read().pelvis_pos_w[0] == pytest.approx(0.0, abs=0.01)
    finally:
        bench.close()


def test_without_the_estimator_readings_have_no_base(tmp_path):
    bench = Bench(tmp_path, estimates_base=False)
    bench.tick(3)
    state = bench.client.read()
    bench.close()
    assert state.pelvis_pos_w is None and state.pelvis_lin_vel_b is None


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


def test_an_emergency_stop_after_another_fault_is_in_the_log(running):
    running.core.guard.latch("motor_error", "for the test")
    running.client.estop()
    running.tick()
    assert running.fault.name == "motor_error"
    assert [event["by"] for event in running.events() if event["event"] == "estop"] == ["client"]


def test_a_bridge_that_ends_arms_nobody(running):
    running.core.end()
    running.tick()
    with pytest.raises(RobotError, match="arm: refused: the bridge is ending"):
        BridgeClient("lo", idle=running.tick).arm()


@pytest.fixture
def impatient(tmp_path):
    """Takes an unused lease back after 0.1 s instead of 10."""
    bench = Bench(tmp_path, limits=GuardLimits(lease_ticks=50))
    yield bench
    bench.close()


def test_the_lease_of_a_client_that_never_spoke_lapses(impatient):
    impatient.client.arm()
    impatient.tick(49)
    assert impatient.client.is_armed
    with pytest.raises(RobotError, match="another client has armed"):
        BridgeClient("lo", idle=impatient.tick).arm()
    impatient.tick(2)
    assert not impatient.client.is_armed and impatient.fault is None
    BridgeClient("lo", idle=impatient.tick).arm()


def test_a_client_that_keeps_damping_keeps_its_lease(impatient):
    impatient.client.arm()
    for _ in range(12):
        impatient.put(mode=Mode.DAMPING)
        impatient.tick(10)
    assert impatient.client.is_armed
    assert GuardLimits().lease_ticks * 0.002 == 10.0


def test_a_dry_run_beside_the_vendors_controller_computes_on(tmp_path):
    bench = Bench(tmp_path, is_dry_run=True)
    vendor = DdsLink("lo")
    writer = vendor.writer(LOW_COMMAND_TOPIC, load_sdk().LowCmd)
    bench.tick(30)
    bench.start()
    bench.run(5)
    fault, damping = bench.fault, bench.is_damping
    bench.close()
    vendor.close()
    assert writer.guid and fault is None and not damping


def test_a_battery_that_falls_silent_is_judged_by_its_voltage_again(bench, monkeypatch):
    monkeypatch.setattr("bm_sim2real.robots.unitree.robot._BMS_SILENT", 10)
    bench.robot.wire.charge = 60.0
    bench.tick(300)
    assert bench.client.status()["battery_percent"] == 60.0
    bench.robot.wire.charge = None
    bench.core.watch.battery.voltage = bench.robot.wire.motor_voltage = 13 * 3.55
    bench.tick(850)
    assert bench.client.status()["battery_percent"] == pytest.approx(15.0, abs=0.5)


def test_a_client_in_lockstep_waits_in_simulated_time(bench, monkeypatch):
    """However long the machine takes for a tick: a stall is no dead writer."""
    monkeypatch.setattr("bm_sim2real.bridge.client.time.monotonic", iter(range(0, 10**9, 100)).__next__)
    client = BridgeClient("lo", idle=bench.tick)
    client.arm()
    client.wait_period()
    calls = []
    bench.tick(30)
    client = BridgeClient("lo", idle=lambda: calls.append(0))
    with pytest.raises(RobotError, match="the bridge's writer stands still .waited 1 s"):
        client.wait_period()
    assert len(calls) == 501
