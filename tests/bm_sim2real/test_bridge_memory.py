"""The shared memory between policy and bridge: whole values only, whoever dies."""

import mmap
import multiprocessing
import os
import signal
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm_core.errors import RobotError
from bm_core.state import LowCommand, RobotState
from bm_sim2real.bridge.records import pack_command, pack_state, unpack_command, unpack_state
from bm_sim2real.bridge.shared_memory import Box, BridgeMemory, Word, memory_path, slot_size
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode

CAPACITY = 64


def new_box():
    return Box(memoryview(bytearray(8 + 2 * slot_size(CAPACITY))), CAPACITY)


@pytest.fixture
def interface():
    name = f"test{os.getpid()}"
    yield name
    memory_path(name).unlink(missing_ok=True)


def test_an_empty_box_has_no_value():
    assert new_box().read() is None


@given(st.lists(st.binary(max_size=CAPACITY), min_size=1, max_size=6))
def test_the_newest_value_is_read(values):
    box = new_box()
    for value in values:
        box.write(value)
    assert box.read() == values[-1]
    assert box.index == len(values)


def test_a_value_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match="65 bytes into a box of 64"):
        new_box().write(bytes(65))


@pytest.mark.parametrize("place", [0, 8, 16, 24, 40])
def test_a_write_that_was_cut_off_leaves_the_value_before(place):
    memory = bytearray(8 + 2 * slot_size(CAPACITY))
    box = Box(memoryview(memory), CAPACITY)
    box.write(b"first")
    box.write(b"second")
    start = 8 + 1 * slot_size(CAPACITY)  # where the third would go: the slot of the first
    memory[start + place : start + place + 8] = b"\xff" * 8
    assert box.read() == b"second"


def test_a_value_whose_bytes_are_wrong_is_none_and_counted():
    memory = bytearray(8 + 2 * slot_size(CAPACITY))
    box = Box(memoryview(memory), CAPACITY)
    box.write(b"value")
    memory[8 + slot_size(CAPACITY) + 24] ^= 1
    assert box.read() is None
    assert box.torn == 1


def test_an_index_gone_wild_is_none_and_ends():
    memory = bytearray(8 + 2 * slot_size(CAPACITY))
    box = Box(memoryview(memory), CAPACITY)
    box.write(b"value")
    struct.pack_into("<Q", memory, 0, 2**63 + 5)
    assert box.read() is None


def hammer(fd):
    """Writes values of one repeated byte until it is killed."""
    box = Box(memoryview(mmap.mmap(fd, 8 + 2 * slot_size(4096))), 4096)
    byte = 0
    while True:
        byte = (byte + 1) % 256
        box.write(bytes([byte]) * 4096)


def test_a_reader_beside_a_writer_killed_in_mid_write_sees_whole_values_only(tmp_path):
    with (tmp_path / "box").open("w+b") as file:
        file.truncate(8 + 2 * slot_size(4096))
        box = Box(memoryview(mmap.mmap(file.fileno(), 8 + 2 * slot_size(4096))), 4096)
        for _ in range(5):
            writer = multiprocessing.get_context("fork").Process(target=hammer, args=(file.fileno(),))
            before = box.index
            writer.start()
            while box.index < before + 500:
                value = box.read()
                assert value is None or len(set(value)) == 1
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
            value = box.read()
            assert value is not None and len(value) == 4096 and len(set(value)) == 1


def test_a_command_survives_the_mailbox():
    n = np.arange(29.0)
    low = LowCommand(seq=5, state_seq=4, q=n, dq=-n, tau=n, kp=np.full(29, 9.0), kd=n)
    back = unpack_command(pack_command(77, PolicyCommand(low=low, mode=Mode.BRAKE)))
    assert (back.lease, back.command.mode, back.command.low.seq, back.command.low.state_seq) == (77, Mode.BRAKE, 5, 4)
    assert np.array_equal(back.command.low.q, np.arange(29.0)) and back.command.low.kp[3] == 9.0


@pytest.mark.parametrize("data", [b"", b"\0" * 10, struct.pack("<Qqqq", 1, 1, 1, 99) + b"\0" * (5 * 29 * 8)])
def test_what_is_no_command_is_none(data):
    assert unpack_command(data) is None


def test_a_reading_survives_the_memory():
    n = np.arange(29.0)
    state = RobotState(
        seq=3, time=0.25, joint_pos=n, joint_vel=2 * n, joint_torque=3 * n, pelvis_quat_w=np.array([0.6, 0.8, 0, 0]),
        pelvis_gyro_b=np.array([1.0, 2.0, 3.0]), pelvis_acc_b=np.array([4.0, 5.0, 6.0]),
    )  # fmt: skip
    back = unpack_state(pack_state(state))
    assert (back.seq, back.time, back.pelvis_pos_w) == (3, 0.25, None)
    for name in ("joint_pos", "joint_vel", "joint_torque", "pelvis_quat_w", "pelvis_gyro_b", "pelvis_acc_b"):
        assert np.array_equal(getattr(back, name), getattr(state, name)), name


def test_a_second_bridge_on_the_interface_is_refused(interface):
    first = BridgeMemory.create(interface)
    with pytest.raises(RobotError, match=f"another bridge .processes {os.getpid()} and 0. has this robot"):
        BridgeMemory.create(interface)
    first.close()
    BridgeMemory.create(interface).close()


def test_a_client_finds_a_running_bridge_only(interface):
    with pytest.raises(RobotError, match="no bridge is running; start `bm bridge"):
        BridgeMemory.attach(interface)
    bridge = BridgeMemory.create(interface)
    client = BridgeMemory.attach(interface)
    client.words[Word.ESTOP_REQUESTS] = 3
    assert bridge.words[Word.ESTOP_REQUESTS] == 3
    bridge.words[Word.SCHEMA] = 99
    with pytest.raises(RobotError, match="another version"):
        BridgeMemory.attach(interface)
    bridge.close()
    with pytest.raises(RobotError, match="no bridge is running any more"):
        BridgeMemory.attach(interface)


def test_a_new_bridge_finds_empty_words_and_never_shrinks_the_file_under_an_old_client(interface, monkeypatch):
    """Whoever touches a mapping behind the end of its file is killed by SIGBUS."""
    first = BridgeMemory.create(interface)
    old_client = BridgeMemory.attach(interface)
    first.words[Word.LEASE] = 77
    first.status.write(b"of the first")
    first.close()
    sizes = []
    truncate = os.ftruncate
    monkeypatch.setattr(os, "ftruncate", lambda fd, size: (sizes.append(size), truncate(fd, size)))
    second = BridgeMemory.create(interface)
    assert set(sizes) == {BridgeMemory.size()}
    assert (int(second.words[Word.LEASE]), second.status.read(), int(old_client.words[Word.LEASE])) == (0, None, 0)
    second.close()
