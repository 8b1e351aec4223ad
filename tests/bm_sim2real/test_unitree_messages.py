"""The bytes that go to the robot and come from it, against Unitree's C structs and message types."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.robots.unitree.crc import crc32_words
from bm_sim2real.robots.unitree.low_command import LowCommandPacker, read_low_command
from bm_sim2real.robots.unitree.low_state import LowState, is_intact, pack_low_state, read_low_state
from bm_sim2real.robots.unitree.remote import Button, Remote, RemoteEdges, pack_remote, read_remote

LOW_COMMAND_STRUCT = "<2B2x" + "B3x5fI" * 35 + "5I"
LOW_STATE_STRUCT = "<2I2B2xI" + "13fh2x" + "B3x4f2hf7I" * 35 + "40B5I"


def bitwise_crc(data):
    """The definition, bit by bit, over little-endian words."""
    crc = 0xFFFFFFFF
    for (word,) in struct.iter_unpack("<I", data):
        for bit in range(31, -1, -1):
            top = (crc >> 31) ^ (word >> bit & 1)
            crc = (crc << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if top else 0)
    return crc


def command(scale=1.0):
    n = np.arange(29)
    return LowCommand(
        seq=7, state_seq=3, q=scale * (n + 0.5), dq=scale * 0.1 * n, tau=-scale * n, kp=100.0 + n, kd=1.0 + 0.25 * n
    )


def reading(**changes):
    n = np.arange(29.0)
    values = {
        "tick": 123456,
        "mode_pr": 0,
        "mode_machine": 6,
        "joint_pos": 0.01 * n,
        "joint_vel": -0.5 * n,
        "joint_torque": 2.0 * n,
        "imu_quat": np.array([0.5, -0.5, 0.5, 0.5]),
        "imu_gyro": np.array([1.0, 2.0, 3.0]),
        "imu_acc": np.array([0.25, -0.5, 9.75]),
        "motor_temperature": 30.0 + n,
        "motor_voltage": 50.0 + n,
        "motor_error": np.arange(29, dtype=np.uint32),
        "remote": bytes(range(40)),
    }
    return LowState(**{**values, **changes})


# CRC-32/MPEG-2: the initial value, and its published values for a word of zeros and of ones.
@pytest.mark.parametrize(
    "data, expected",
    [(b"", 0xFFFFFFFF), (b"\0\0\0\0", 0xC704DD7B), (b"\xff\xff\xff\xff", 0x00000000)],
)
def test_crc_of_known_words(data, expected):
    assert crc32_words(data) == expected


@given(st.binary(max_size=400))
def test_crc_agrees_with_the_bitwise_definition(data):
    data = data[: len(data) // 4 * 4]
    assert crc32_words(data) == bitwise_crc(data)


def test_packed_command_carries_the_crc_of_the_c_struct():
    packed = LowCommandPacker(mode_machine=5).pack(command())
    motors = []
    for i in range(35):
        values = [i + 0.5, 0.1 * i, -float(i), 100.0 + i, 1.0 + 0.25 * i] if i < 29 else [0.0] * 5
        motors += [1 if i < 29 else 0, *values, 0]
    c_struct = struct.pack(LOW_COMMAND_STRUCT, 0, 5, *motors, 0, 0, 0, 0, 0)
    assert len(c_struct) == 1004
    assert int.from_bytes(packed[-4:], "little") == bitwise_crc(c_struct[:-4])


def test_packed_command_is_what_the_sdk_would_serialise():
    pytest.importorskip("cyclonedds")
    from bm_sim2real.robots.unitree.sdk import load_sdk

    sdk = load_sdk()
    packed = LowCommandPacker(mode_machine=5).pack(command())
    message = sdk.LowCmd.deserialize(packed)
    assert message.serialize() == packed
    assert (message.mode_pr, message.mode_machine) == (0, 5)
    assert [motor.mode for motor in message.motor_cmd] == [1] * 29 + [0] * 6
    knee = message.motor_cmd[3]
    assert (knee.q, knee.tau, knee.kp, knee.kd) == (3.5, -3.0, 103.0, 1.75)


def test_command_survives_the_wire():
    read = read_low_command(LowCommandPacker(mode_machine=9).pack(command()))
    assert read.is_intact and read.mode_machine == 9
    back = read.command(seq=11)
    assert back.seq == 11
    for name in ("q", "dq", "tau", "kp", "kd"):
        assert np.allclose(getattr(back, name), getattr(command(), name), rtol=1e-7)


def test_any_flipped_bit_of_a_command_is_noticed():
    packed = bytearray(LowCommandPacker(mode_machine=5).pack(command()))
    for bit in np.random.default_rng(0).integers(8 * 8, 8 * 1004, 64):
        packed[bit // 8] ^= 1 << bit % 8
        assert not read_low_command(bytes(packed)).is_intact
        packed[bit // 8] ^= 1 << bit % 8
    assert read_low_command(bytes(packed)).is_intact


@pytest.mark.parametrize("data", [b"", b"\0" * 1003, bytes((0, 0)) + b"\0" * 1002])
def test_what_is_no_command_is_none(data):
    assert read_low_command(data) is None


def test_motors_that_are_not_enabled_get_no_torque():
    packed = bytearray(LowCommandPacker(mode_machine=5).pack(command()))
    packed[4 + 28 * 4] = 0  # mode of motor 4
    low = read_low_command(bytes(packed)).command(seq=1)
    assert low.kp[4] == low.kd[4] == low.tau[4] == 0.0
    assert low.kp[5] == 105.0


def test_state_survives_the_wire():
    packed = pack_low_state(reading())
    assert is_intact(packed)
    back = read_low_state(packed)
    for name in ("tick", "mode_machine", "remote"):
        assert getattr(back, name) == getattr(reading(), name)
    for name in ("joint_pos", "joint_vel", "joint_torque", "imu_quat", "imu_gyro", "imu_acc", "motor_temperature"):
        assert np.allclose(getattr(back, name), getattr(reading(), name), rtol=1e-6), name
    assert back.motor_error[7] == 7 and back.motor_voltage[2] == 52.0


def test_state_of_the_sdk_is_read_and_its_c_struct_crc_accepted():
    pytest.importorskip("cyclonedds")
    from bm_sim2real.robots.unitree.sdk import load_sdk

    sdk = load_sdk()
    message = sdk.LowState.deserialize(pack_low_state(reading()))
    assert message.imu_state.quaternion == [0.5, -0.5, 0.5, 0.5]
    assert message.motor_state[4].temperature == [34, 34]
    assert list(message.wireless_remote) == list(range(40))
    message.version, message.motor_state[34].q, message.motor_state[2].temperature = [3, 4], 1.25, [20, 61]
    message.imu_state.rpy, message.imu_state.temperature = [0.1, 0.2, 0.3], 44
    fields = [*message.version, message.mode_pr, message.mode_machine, message.tick]
    imu = message.imu_state
    fields += [*imu.quaternion, *imu.gyroscope, *imu.accelerometer, *imu.rpy, imu.temperature]
    for motor in message.motor_state:
        fields += [motor.mode, motor.q, motor.dq, motor.ddq, motor.tau_est, *motor.temperature, motor.vol]
        fields += [*motor.sensor, motor.motorstate, *motor.reserve]
    c_struct = struct.pack(LOW_STATE_STRUCT, *fields, *message.wireless_remote, *message.reserve, 0)
    message.crc = bitwise_crc(c_struct[:-4])
    serialised = message.serialize()
    assert is_intact(serialised)
    assert read_low_state(serialised).motor_temperature[2] == 61.0


def test_a_corrupt_or_foreign_state_is_refused():
    packed = bytearray(pack_low_state(reading()))
    packed[100] ^= 1
    assert not is_intact(bytes(packed))
    assert not is_intact(b"\0" * 2092)
    assert not is_intact(b"")


def test_state_becomes_a_robot_state():
    state = reading().robot_state(seq=4)
    assert (state.seq, state.time) == (4, pytest.approx(123.456))
    assert state.pelvis_pos_w is None
    assert state.joint_vel[2] == -1.0


def test_remote_buttons_are_where_unitree_puts_them():
    data = bytearray(40)
    data[2], data[3] = 0b0000_0101, 0b1000_0010  # R1 and start; left and B
    data[4:8], data[20:24] = struct.pack("<f", 0.5), struct.pack("<f", -1.0)
    data[8:12] = struct.pack("<f", float("nan"))
    remote = read_remote(bytes(data))
    assert remote.buttons == Button.R1 | Button.START | Button.B | Button.LEFT
    assert (remote.left_x, remote.left_y, remote.right_x) == (0.5, -1.0, 0.0)
    assert read_remote(pack_remote(Remote(buttons=Button.X, right_y=0.25))) == Remote(buttons=Button.X, right_y=0.25)


def test_remote_edges_ignore_what_was_already_held():
    edges = RemoteEdges()
    assert edges.update(Button.A) == (Button.NONE, Button.NONE)
    assert edges.update(Button.A | Button.B) == (Button.B, Button.NONE)
    assert edges.update(Button.B) == (Button.NONE, Button.A)


def test_joint_count_matches_the_robot():
    assert len(read_low_state(pack_low_state(reading())).joint_pos) == len(G1.joint_names) == 29
