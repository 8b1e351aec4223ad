"""The command guard: every row of the guard table that is in force, by fault injection, in writer ticks."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.guard import CommandGuard
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.mailbox import LocalMailbox, PolicyCommand
from bm_sim2real.modes import Mode
from bm_sim2real.robots.mock import MockRobot

ZERO = np.zeros(29)
KNEE = G1.joint_index["left_knee_joint"]


def low(seq=1, q=G1.default_joint_pos, dq=ZERO, tau=ZERO, kp=G1.kp, kd=G1.kd):
    return LowCommand(seq=seq, state_seq=0, q=q, dq=dq, tau=tau, kp=kp, kd=kd)


class Bench:
    """A mock robot under a guard; the policy sends the default pose every 10 ticks until told otherwise."""

    def __init__(self, mode=Mode.RUNNING, **guard):
        self.robot = MockRobot()
        self.robot.connect()
        self.guard = CommandGuard(start_mode=mode, **guard)
        self.mailbox = LocalMailbox()
        self.mode = mode
        self.seq = 0
        self.is_policy_alive = True
        self.ticks = 0
        self.tick_arguments = {}

    def send(self, **fields):
        self.seq += 1
        self.mailbox.put(PolicyCommand(low=low(seq=fields.pop("seq", self.seq), **fields), mode=self.mode))

    def run(self, ticks):
        for _ in range(ticks):
            if self.is_policy_alive and self.ticks % 10 == 0:
                self.send()
            self.out = self.guard.tick(self.robot.read(), self.mailbox.newest(), **self.tick_arguments)
            self.robot.write(self.out)
            self.robot.step()
            self.ticks += 1
        return self.guard.fault.name if self.guard.fault else None

    @property
    def is_damping(self):
        return not self.out.kp.any() and not self.out.tau.any() and (self.out.kd > 0.0).all()


def test_a_healthy_second_passes_untouched():
    bench = Bench()
    assert bench.run(500) is None
    assert bench.out is bench.mailbox.newest().low
    assert bench.guard.counters.effort.sum() == bench.guard.counters.hard_stop.sum() == 0


def test_silent_policy_damps_on_the_30th_tick_and_stays():
    bench = Bench()
    bench.run(11)  # the sequence of tick 10 is the last
    bench.is_policy_alive = False
    assert bench.run(29) is None
    assert not bench.is_damping
    assert bench.run(1) == "silent_policy"
    assert bench.is_damping
    assert bench.guard.fault.tick == 40
    bench.is_policy_alive = True
    assert bench.run(500) == "silent_policy"
    assert bench.is_damping  # latched: coming back is not a reset


def test_silent_policy_has_a_wall_ceiling_for_a_slow_writer():
    bench = Bench()
    bench.run(11)
    bench.is_policy_alive = False
    bench.tick_arguments = {"wall_since_command_s": 0.16}
    assert bench.run(1) == "silent_policy"


def test_nobody_misses_the_policy_in_damping():
    bench = Bench(mode=Mode.DAMPING)
    bench.is_policy_alive = False
    assert bench.run(200) is None
    assert bench.is_damping


def test_stale_state_damps_after_50_ms():
    bench = Bench()
    bench.run(5)
    bench.robot.is_silent = True
    assert bench.run(24) is None
    assert bench.run(1) == "stale_state"
    assert bench.is_damping


def test_frozen_robot_clock_damps_after_50_ms_although_readings_arrive():
    bench = Bench()
    bench.run(5)
    bench.robot.faults = {"time": bench.robot.read().time}
    assert bench.run(30) == "frozen_clock"
    assert bench.guard.fault.tick in (28, 29, 30)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["q", "dq", "tau", "kp", "kd"])
def test_a_command_with_a_number_that_is_none_is_refused_then_damps_after_one_period(field, value):
    bench = Bench()
    bench.run(10)
    before = bench.out
    broken = np.array(getattr(before, field))
    broken[7] = value
    bench.is_policy_alive = False
    bench.send(**{field: broken})
    assert bench.run(10) is None
    assert bench.out is before  # the last good one holds for a period
    assert bench.run(1) == "refused_command"
    assert bench.is_damping
    assert "right_hip_roll_joint" in bench.guard.fault.detail
    assert bench.guard.counters.refused == 1


def test_a_command_of_a_wrong_length_is_refused_by_its_own_length():
    bench = Bench()
    bench.run(10)
    bench.is_policy_alive = False
    bench.send(q=np.zeros(12))
    assert bench.run(11) == "refused_command"
    assert "(12,)" in bench.guard.fault.detail


def test_good_commands_after_a_refused_one_do_not_save_it():
    bench = Bench()
    bench.run(9)
    bench.send(q=np.full(29, np.nan))
    bench.run(1)
    assert bench.run(30) == "refused_command"


def test_old_sequences_are_dropped_and_counted_and_do_not_feed_the_silence_timer():
    bench = Bench()
    bench.run(20)
    bench.is_policy_alive = False
    names = []
    for _ in range(3):
        bench.send(seq=1, q=np.ones(29))
        names.append(bench.run(10))
    assert bench.guard.counters.dropped == 3
    assert names == [None, None, "silent_policy"]  # 30 ticks after tick 10, the last that was new


def test_joint_speed_needs_two_readings():
    bench = Bench()
    bench.run(5)
    fast = np.zeros(29)
    fast[KNEE] = -30.1  # knee: 1.5 x 20 rad/s, the URDF's limit
    bench.robot.faults = {"joint_vel": fast}
    assert bench.run(1) is None
    bench.robot.faults = {}
    assert bench.run(5) is None
    bench.robot.faults = {"joint_vel": fast}
    assert bench.run(2) == "joint_speed"
    assert "left_knee_joint at -30.1" in bench.guard.fault.detail


def test_a_fast_swing_within_the_limit_passes():
    bench = Bench()
    fast = np.zeros(29)
    fast[KNEE] = 29.9
    bench.robot.faults = {"joint_vel": fast}
    assert bench.run(5) is None


@pytest.mark.parametrize(
    "sensor, value",
    [
        ("pelvis_quat_w", np.array([1.0, 0.3, 0.0, 0.0])),
        ("pelvis_quat_w", np.zeros(4)),
        ("pelvis_quat_w", np.full(4, np.nan)),
        ("pelvis_gyro_b", np.array([0.0, 0.0, 36.0])),
        ("pelvis_gyro_b", np.array([np.nan, 0.0, 0.0])),
        ("pelvis_acc_b", np.array([0.0, 310.0, 0.0])),
    ],
)
def test_an_impossible_imu_damps_on_its_second_reading(sensor, value):
    bench = Bench()
    bench.run(5)
    bench.robot.faults = {sensor: value}
    assert bench.run(1) is None
    assert bench.run(1) == "imu_implausible"


def test_a_joint_that_reads_nan_damps_at_once():
    bench = Bench()
    broken = bench.robot.read().joint_pos.copy()
    broken[KNEE] = np.nan
    bench.robot.faults = {"joint_pos": broken}
    assert bench.run(1) == "invalid_state"
    assert "left_knee_joint" in bench.guard.fault.detail
    assert np.isfinite(bench.out.q).all()


def test_own_overrun_is_counted_and_damps_only_hardware():
    for is_hardware, expected in ((True, "writer_overrun"), (False, None)):
        bench = Bench(is_hardware=is_hardware)
        bench.tick_arguments = {"overrun_s": 0.05}
        assert bench.run(1) is None
        bench.tick_arguments = {"overrun_s": 0.11}
        assert bench.run(1) == expected
        assert bench.guard.counters.overruns == 2


def test_a_target_beyond_the_effort_limit_is_solved_back_to_it():
    bench = Bench()
    target = G1.default_joint_pos.copy()
    target[KNEE] += 3.0  # 99.0984 * 3 = 297 N m, limit 139
    bench.is_policy_alive = False
    bench.send(q=target)
    bench.run(1)
    torque = bench.out.kp * (bench.out.q - G1.default_joint_pos)
    assert torque[KNEE] == pytest.approx(139.0)
    assert bench.out.q[KNEE + 1] == target[KNEE + 1]
    assert bench.guard.counters.effort[KNEE] == 1 and bench.guard.counters.effort.sum() == 1


def test_feed_forward_beyond_the_limit_gives_way_where_there_is_no_stiffness():
    bench = Bench()
    bench.is_policy_alive = False
    bench.send(kp=ZERO, tau=np.full(29, -200.0))
    bench.run(1)
    assert bench.out.tau == pytest.approx(-G1.effort)


def test_outward_torque_is_removed_at_a_hard_stop_and_inward_torque_is_not():
    bench = Bench()
    pose = G1.default_joint_pos.copy()
    pose[KNEE] = 2.86  # range ends at 2.8798
    bench.robot.reset(joint_pos=pose)
    bench.is_policy_alive = False
    bench.send(q=pose + 0.1)
    bench.run(1)
    assert bench.out.kp[KNEE] * (bench.out.q[KNEE] - pose[KNEE]) == pytest.approx(0.0)
    assert bench.guard.counters.hard_stop[KNEE] == 1
    bench.robot.reset(joint_pos=pose)
    bench.send(q=pose - 0.1)
    bench.run(1)
    assert bench.out.q[KNEE] == pytest.approx(pose[KNEE] - 0.1)
    assert bench.guard.counters.hard_stop.sum() == 1


def test_the_other_end_of_the_range_is_a_hard_stop_too():
    bench = Bench()
    pose = G1.default_joint_pos.copy()
    pose[KNEE] = -0.08  # range begins at -0.0873
    bench.robot.reset(joint_pos=pose)
    bench.is_policy_alive = False
    bench.send(q=pose - 0.1)
    bench.run(1)
    assert bench.out.q[KNEE] == pytest.approx(-0.08)


def test_targets_move_at_most_0_1_rad_a_period_when_leaving_damping():
    bench = Bench(mode=Mode.DAMPING)
    bench.run(20)
    bench.mode = Mode.HANG
    bench.is_policy_alive = False
    bench.send(q=G1.default_joint_pos + 0.5)
    start = bench.robot.read().joint_pos
    bench.run(10)
    assert np.abs(bench.out.q - start).max() == pytest.approx(0.1)
    assert bench.guard.counters.slew == 10


def fall_asleep(bench, ending):
    """Out of HANG into damping, by the policy's word or by an emergency stop that is reset."""
    if ending == "estop":
        bench.guard.estop("operator")
        bench.run(20)
    elif ending == "released":
        bench.guard.release()
    bench.mode = Mode.DAMPING
    bench.run(20)
    assert bench.guard.reset() is None


@pytest.mark.parametrize("ending", ["estop", "damping", "released"])
def test_a_robot_that_sagged_in_damping_is_met_where_it_is_when_it_hangs_again(ending):
    bench = Bench(mode=Mode.HANG)
    bench.run(100)
    fall_asleep(bench, ending)
    sagged = G1.default_joint_pos.copy()
    sagged[KNEE] += 1.0
    bench.robot.reset(joint_pos=sagged)
    bench.mode, bench.is_policy_alive = Mode.HANG, False
    bench.send(q=sagged)
    bench.run(1)
    assert bench.out.q == pytest.approx(sagged)
    bench.send(q=G1.default_joint_pos)
    bench.run(1)
    assert sagged[KNEE] - bench.out.q[KNEE] == pytest.approx(0.01)


@pytest.mark.parametrize("mode", [Mode.STAND, Mode.RUNNING, Mode.BRAKE])
def test_a_balancing_policy_is_not_slowed_down(mode):
    bench = Bench(mode=mode)
    bench.run(20)
    bench.is_policy_alive = False
    bench.send(q=G1.default_joint_pos + 0.2)
    bench.run(1)
    assert bench.out.q == pytest.approx(G1.default_joint_pos + 0.2)


@pytest.mark.parametrize("mode", list(Mode))
def test_estop_works_in_every_mode_and_stays(mode):
    bench = Bench(mode=mode)
    bench.run(10)
    bench.guard.estop("operator")
    assert bench.run(300) == "estop"
    assert bench.is_damping


def test_reset_needs_damping_and_a_healthy_robot():
    bench = Bench()
    bench.run(10)
    bench.guard.estop("operator")
    bench.run(1)
    assert bench.guard.reset().name == "reset_refused"
    bench.mode = Mode.DAMPING
    bench.robot.is_silent = True
    bench.run(40)
    assert bench.guard.reset().name == "stale_state"
    bench.robot.is_silent = False
    bench.run(10)
    assert bench.guard.reset() is None
    assert bench.run(10) is None


def test_the_first_cause_is_kept():
    bench = Bench()
    bench.robot.is_silent = True
    bench.run(60)
    bench.guard.estop("operator")
    assert bench.guard.fault.name == "stale_state"


@pytest.mark.parametrize("bad", [{"silent_ticks": 9}, {"tilt": float("nan")}, {"hard_stop_margin": -0.1}])
def test_senseless_limits_are_refused(bad):
    with pytest.raises(ConfigError, match=next(iter(bad))):
        GuardLimits(**bad)


vectors = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed))


@settings(max_examples=200, deadline=None)
@given(vectors, st.floats(0.1, 30.0))
def test_whatever_comes_the_motor_law_stays_within_effort_and_pushes_no_joint_outwards_at_its_stop(rng, size):
    robot = MockRobot()
    robot.connect()
    pos = rng.uniform(G1.lower - 0.05, G1.upper + 0.05)
    state = dataclasses.replace(robot.read(), joint_pos=pos, joint_vel=rng.normal(0.0, 0.3, 29) * G1.velocity)
    kp = G1.kp * rng.choice([0.0, 1.0, 5.0], 29)
    command = low(q=pos + size * rng.normal(size=29), tau=size * rng.normal(size=29), kp=kp)
    guard = CommandGuard(start_mode=Mode.RUNNING)
    out = guard.tick(state, PolicyCommand(low=command, mode=Mode.RUNNING))
    torque = out.tau + out.kp * (out.q - pos) + out.kd * (out.dq - state.joint_vel)
    assert (np.abs(torque) <= G1.effort + 1e-6).all()
    assert (torque[pos > G1.upper - 0.05] <= 1e-6).all()
    assert (torque[pos < G1.lower + 0.05] >= -1e-6).all()
    untouched = (np.abs(command.kp * (command.q - pos) + command.tau - G1.kd * state.joint_vel) <= G1.effort) & (
        (pos < G1.upper - 0.05) & (pos > G1.lower + 0.05)
    )
    assert np.array_equal(out.q[untouched], command.q[untouched])
