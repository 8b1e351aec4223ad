"""Short fuzzing runs, and proof that they would find something: a guard or a reader with a hole fails them."""

import numpy as np
import pytest
import unitree_wire  # noqa: F401  the DDS extra, and a tag of our own
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

import bm_sim2real.fuzzing.files as files
import bm_sim2real.guard
from bm_core.g1 import G1
from bm_core.state import LowCommand, RobotState
from bm_sim2real.bridge.watch import LinkWatch
from bm_sim2real.fuzzing.commands import fuzz_commands
from bm_sim2real.fuzzing.files import fuzz_bundles, fuzz_motions
from bm_sim2real.fuzzing.oracle import harmful, mjcf_limits
from bm_sim2real.fuzzing.readings import fuzz_readings
from bm_sim2real.guard import CommandGuard
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode
from bm_sim2real.robots.unitree.low_state import SIZE, read_low_state

ZERO = np.zeros(29)
UP = np.array([1.0, 0.0, 0.0, 0.0])


def frame(**changes):
    """One harmless damping frame with changes, as the oracle wants it."""
    fields = {"q": ZERO, "dq": ZERO, "tau": ZERO, "kp": ZERO, "kd": np.full(29, 8.0), "pos": ZERO, "vel": ZERO}
    return [np.asarray(value)[None] for value in {**fields, **changes}.values()]


def at(joint, value, base=ZERO):
    values = np.array(base, dtype=float)
    values[G1.joint_index[joint]] = value
    return values


def test_the_oracle_knows_the_limits_of_the_published_table():
    low, high, effort = mjcf_limits()
    knee = G1.joint_index["left_knee_joint"]
    assert (low[knee], high[knee], effort[knee]) == pytest.approx((-0.087267, 2.8798, 139.0))


@pytest.mark.parametrize(
    "changes, is_harmful",
    [
        ({}, False),
        ({"kd": np.full(29, 9.0), "vel": np.full(29, 30.0)}, True),  # stronger than damping, and then a torque like any
        ({"tau": at("left_wrist_yaw_joint", 4.9)}, False),
        ({"tau": at("left_wrist_yaw_joint", 5.1)}, True),
        ({"kp": at("left_knee_joint", 100.0), "q": at("left_knee_joint", 1.3)}, False),
        ({"kp": at("left_knee_joint", 100.0), "q": at("left_knee_joint", 1.5)}, True),
        ({"tau": at("left_knee_joint", 10.0), "pos": at("left_knee_joint", 2.86)}, True),
        ({"tau": at("left_knee_joint", -10.0), "pos": at("left_knee_joint", 2.86)}, False),
        ({"q": at("left_knee_joint", np.nan)}, True),
        ({"tau": at("left_knee_joint", 1e39)}, True),
        ({"kp": at("left_knee_joint", -1.0)}, True),
    ],
)
def test_the_oracle_tells_harmful_frames_from_harmless_ones(changes, is_harmful):
    assert harmful(*frame(**changes)).tolist() == [is_harmful]


def test_mad_commands_never_leave_the_guard():
    report = fuzz_commands(6000, seed=1)
    assert report.findings == 0, report.first
    assert report.tried == 6000 and report.accepted > 4000 and report.answers["refused_command"] > 50


def test_a_reading_with_a_signalling_nan_is_read_without_a_word(recwarn):
    signalling = np.array(0x7FA00000, dtype="<u4").tobytes()
    message = bytearray(SIZE)
    for at in (20, 76, 96):  # quaternion, first joint, its voltage
        message[at : at + 4] = signalling
    reading = read_low_state(bytes(message))
    assert np.isnan([reading.imu_quat[0], reading.joint_pos[0], reading.motor_voltage[0]]).all()
    assert not recwarn.list


@pytest.mark.parametrize("hole", ["_limit_torque", "_nonsense"])
def test_a_guard_with_a_hole_is_found_out(monkeypatch, hole):
    if hole == "_limit_torque":
        monkeypatch.setattr(CommandGuard, "_limit_torque", lambda self, command, target, torque, state: command)
    else:
        monkeypatch.setattr(bm_sim2real.guard, "_nonsense", lambda low, limits: "")
    with np.errstate(invalid="ignore"):  # without its refusals the guard computes with what is no number
        assert fuzz_commands(3000).findings > 0


def test_a_guard_that_remembers_where_it_was_before_damping_is_found_out(monkeypatch):
    accept = CommandGuard._accept

    def remembers(self, newest, view):
        before = self._slewed
        accept(self, newest, view)
        self._slewed = before

    monkeypatch.setattr(CommandGuard, "_accept", remembers)
    monkeypatch.setattr(CommandGuard, "_ramped", lambda self, state, view: self._damping)
    report = fuzz_commands(6000)
    assert report.findings > 0 and "not where the robot is" in report.first[0]


def test_broken_readings_neither_end_the_bridge_nor_leave_it():
    report = fuzz_readings(600, seed=2)
    assert report.findings == 0, report.first
    assert {"motor_error", "invalid_state"} <= set(report.answers)


def test_a_bridge_that_raises_is_found_out(monkeypatch):
    look = LinkWatch.look

    def brittle(self, reading, torso, charge):
        if reading.motor_error.any():
            raise ZeroDivisionError
        return look(self, reading, torso, charge)

    monkeypatch.setattr(LinkWatch, "look", brittle)
    report = fuzz_readings(200)
    assert report.findings > 10 and "ZeroDivisionError" in report.first[0]


@pytest.mark.parametrize("fuzz, count", [(fuzz_bundles, 150), (fuzz_motions, 400)])
def test_damaged_files_are_refused_in_words(fuzz, count):
    report = fuzz(count, seed=3)
    assert report.findings == 0, report.first
    assert report.tried == count and report.refused > count // 2


def test_a_reader_that_is_surprised_is_found_out(monkeypatch):
    read = files.load_clip
    monkeypatch.setattr(files, "load_clip", lambda path, **how: {}["missing"] if how else read(path))
    assert fuzz_motions(20).findings == 20


NUMBERS = st.floats(width=64) | st.sampled_from([0.0, 1.0, -1.0, 1e-300, 1e4, -1e4, 1e5, 50.0])
ROWS = stnp.arrays(np.float64, 29, elements=NUMBERS, fill=st.floats(-3.0, 3.0))
GAINS = stnp.arrays(np.float64, 29, elements=NUMBERS | st.floats(0.0, 300.0), fill=st.floats(0.0, 100.0))
ANGLES = stnp.arrays(np.float64, 29, elements=st.floats(-4.0, 4.0), fill=st.floats(-1.0, 1.0))


@settings(max_examples=1500)
@given(q=ROWS, dq=ROWS, tau=ROWS, kp=GAINS, kd=GAINS, pos=ANGLES, vel=ROWS)
def test_no_command_at_all_makes_the_guard_harmful(q, dq, tau, kp, kd, pos, vel):
    guard = CommandGuard(start_mode=Mode.RUNNING)
    state = RobotState(
        seq=1, time=0.002, joint_pos=pos, joint_vel=vel, joint_torque=ZERO, pelvis_quat_w=UP,
        pelvis_gyro_b=ZERO[:3], pelvis_acc_b=ZERO[:3],
    )  # fmt: skip
    low = LowCommand(seq=1, state_seq=1, q=q, dq=dq, tau=tau, kp=kp, kd=kd)
    out = guard.tick(state, PolicyCommand(low=low, mode=Mode.RUNNING))
    assert not harmful(*(np.asarray(a)[None] for a in (out.q, out.dq, out.tau, out.kp, out.kd, pos, vel)))[0]
