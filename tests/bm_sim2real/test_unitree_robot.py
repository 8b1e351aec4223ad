"""The robot over real DDS topics on loopback, in lockstep with a simulated one behind them."""

import importlib

import numpy as np
import pytest
import test_robot_contract as contract
from unitree_wire import WiredRobot

from bm_core.errors import ConfigError, RobotError
from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.robots.imu_errors import ImuErrors
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.simulation_config import SimulationConfig
from bm_sim2real.robots.unitree.channel import ChannelConfig
from bm_sim2real.robots.unitree.dds import LOW_COMMAND_TOPIC, DdsLink, configuration, domain_of
from bm_sim2real.robots.unitree.low_command import LowCommandPacker
from bm_sim2real.robots.unitree.motion_switcher import (
    CHECK_MODE,
    SERVICE,
    SimulatedMotionSwitcher,
    release_motion_service,
)
from bm_sim2real.robots.unitree.remote import Button, Remote, read_remote
from bm_sim2real.robots.unitree.robot import UnitreeConfig, UnitreeRobot
from bm_sim2real.robots.unitree.rpc import RpcClient, RpcServer
from bm_sim2real.robots.unitree.sdk import load_sdk
from bm_sim2real.robots.unitree.simulated import Silence, WireConfig

ZERO = np.zeros(29)
# Every promise of the Robot protocol, kept through the wire.
for name, test in vars(contract).items():
    if name.startswith("test_"):
        globals()[name] = test


@pytest.fixture
def robot():
    robot = WiredRobot()
    yield robot
    robot.close()


@pytest.fixture
def wired(robot):
    robot.connect()
    return robot


def command(seq=1, q=G1.default_joint_pos, gain=1.0):
    return LowCommand(seq=seq, state_seq=0, q=q, dq=ZERO, tau=ZERO, kp=gain * G1.kp, kd=gain * G1.kd)


def test_only_the_named_interface_is_used_and_loopback_is_the_simulators_domain():
    assert '<NetworkInterface name="lo"/>' in configuration("lo")
    assert "autodetermine" not in configuration("eth0")
    assert (domain_of("lo"), domain_of("eth0")) == (1, 0)


def test_the_sdk_that_was_found_is_named():
    assert "unitree_sdk2" in load_sdk().found and "cyclonedds" in load_sdk().found


def test_a_command_arrives_unchanged_in_single_precision(wired):
    q = G1.default_joint_pos + 0.01 * np.arange(29)
    wired.write(command(q=q))
    wired.step()
    assert wired.wire.counters.accepted == 1
    assert np.array_equal(wired.wire.command.q, q.astype(np.float32))
    assert np.array_equal(wired.wire.command.kp, G1.kp.astype(np.float32))


def test_mode_machine_is_echoed():
    robot = WiredRobot(wire=WireConfig(mode_machine=13))
    robot.connect()
    robot.write(command())
    robot.step()
    counters = robot.wire.counters
    robot.close()
    assert (counters.accepted, counters.wrong_variant) == (1, 0)


def test_the_simulated_robot_ignores_another_variants_commands(wired):
    wired._packer = LowCommandPacker(mode_machine=6)
    wired.write(command())
    wired.step()
    assert (wired.wire.counters.accepted, wired.wire.counters.wrong_variant) == (0, 1)


def test_a_reading_with_a_wrong_checksum_is_dropped_and_counted(wired):
    broken = bytearray(wired.wire.message())
    broken[200] ^= 4
    before = wired.read().seq
    wired.wire._writer.write(bytes(broken))
    assert wired.read().seq == before
    assert wired.counters.corrupt == 1


def test_an_old_reading_that_comes_late_is_dropped_and_counted(wired):
    late = wired.wire.message()
    for _ in range(3):
        wired.step()
    newest = wired.read()
    wired.wire._writer.write(late)
    assert wired.read().time == newest.time
    assert wired.counters.reordered == 1


def test_a_silent_robot_repeats_its_last_reading(wired):
    wired.step()
    seq = wired.read().seq
    wired.wire.is_mute = True
    for _ in range(5):
        wired.step()
    assert wired.read().seq == seq


def test_temperature_error_and_remote_are_read(wired):
    wired.wire.motor_temperature[3] = 91.0
    wired.wire.motor_error[5] = 0x80
    wired.wire.remote = Remote(buttons=Button.B, left_y=0.5)
    wired.step()
    wired.read()
    assert wired.low_state.motor_temperature[3] == 91.0
    assert wired.low_state.motor_error[5] == 0x80
    assert read_remote(wired.low_state.remote) == Remote(buttons=Button.B, left_y=0.5)


def test_another_publisher_is_seen_and_seen_to_go(wired):
    assert wired.publishers() == {wired.guid}
    intruder = DdsLink("lo")
    guid = intruder.writer(LOW_COMMAND_TOPIC, load_sdk().LowCmd).guid
    keep = intruder.writer(LOW_COMMAND_TOPIC, load_sdk().LowCmd)
    assert wired.publishers() >= {wired.guid, keep.guid}
    assert guid != keep.guid
    intruder.close()
    assert wired.publishers() == {wired.guid}


def test_a_closed_robot_no_longer_publishes(wired):
    other = DdsLink("lo")
    guid = wired.guid
    assert guid in other.publishers(LOW_COMMAND_TOPIC)
    wired.close()
    assert guid not in other.publishers(LOW_COMMAND_TOPIC)
    other.close()


def test_messages_made_with_unitrees_own_types_are_accepted(wired):
    """The pattern of Unitree's example programs: an object of their SDK, checksum filled in, written at each tick."""
    sdk = load_sdk()
    link = DdsLink("lo")
    writer = link.writer(LOW_COMMAND_TOPIC, sdk.LowCmd)
    start = wired.read().joint_pos
    for k in range(100):
        message = sdk.LowCmd.deserialize(LowCommandPacker(wired.low_state.mode_machine).pack(command(k, start + 0.3)))
        writer.write_sample(message)
        wired.step()
    link.close()
    assert wired.wire.counters.accepted == 100
    assert np.abs(wired.read().joint_pos - start).min() > 0.1


def test_a_link_that_is_opened_again_makes_no_topic_again(monkeypatch):
    """CycloneDDS forgets the type of a deleted topic on a thread of its own, and crashes if one is made meanwhile."""
    topics = importlib.import_module("cyclonedds.topic")
    made, begin = [], topics.Topic.__init__

    def counted(self, participant, name, *rest):
        made.append(name)
        begin(self, participant, name, *rest)

    monkeypatch.setattr(topics.Topic, "__init__", counted)
    for _ in range(3):
        link = DdsLink("lo")
        link.writer("rt/made_once", load_sdk().LowCmd)
        link.reader("rt/made_once", load_sdk().LowCmd)
        link.close()
    assert made == ["rt/made_once"]


def test_a_closed_link_ends_what_it_has_opened_and_nothing_of_another():
    first, second = DdsLink("lo"), DdsLink("lo")
    reader = second.reader("rt/two_links", load_sdk().Request)
    gone, kept = (link.writer("rt/two_links", load_sdk().Request) for link in (first, second))
    first.close()
    first.close()
    assert second.publishers("rt/two_links") == {kept.guid} and gone.guid != kept.guid
    assert not gone.write(b"") and reader.take() == []
    second.close()


def test_without_a_robot_connecting_says_so():
    robot = UnitreeRobot(UnitreeConfig(first_state_s=0.01))
    with pytest.raises(RobotError, match="no reading on rt/lowstate.*bm sim-robot"):
        robot.connect()
    with pytest.raises(RobotError, match="not connected"):
        robot.read()


@pytest.mark.parametrize(
    "silence, kp, kd", [(Silence.HOLD, G1.kp[0], G1.kd[0]), (Silence.DAMP, 0.0, 3.0), (Silence.ZERO, 0.0, 0.0)]
)
def test_what_the_motors_do_when_nobody_speaks(silence, kp, kd):
    robot = WiredRobot(wire=WireConfig(on_silence=silence, silence_ticks=10))
    robot.connect()
    robot.write(command())
    for _ in range(12):
        robot.step()
    last = robot.body.written[-1]
    robot.close()
    assert (last.kp[0], last.kd[0]) == (pytest.approx(kp, rel=1e-6), pytest.approx(kd, rel=1e-6))


def test_packet_loss_loses_the_fraction_asked_for():
    robot = WiredRobot(wire=WireConfig(channel=ChannelConfig(loss=0.3), seed=1))
    robot.connect()
    for k in range(1000):
        robot.write(command(k))
        robot.step()
        robot.read()
    received, accepted = robot.counters.received, robot.wire.counters.accepted
    robot.close()
    assert 650 < received < 750
    assert 650 < accepted < 750


def test_imu_noise_and_bias_reach_the_reader():
    imu = ImuErrors(gyro_noise=0.1, gyro_bias=(0.5, 0.5, 0.5))
    robot = WiredRobot(MujocoRobot(SimulationConfig(imu=imu)))
    robot.connect()
    gyro = []
    for _ in range(400):
        robot.step()
        gyro.append(robot.read().pelvis_gyro_b - robot.body._qvel[3:6])
    robot.close()
    assert np.allclose(np.mean(gyro, axis=0), 0.5, atol=0.03)
    assert np.allclose(np.std(gyro, axis=0), 0.1, atol=0.02)


def test_mujoco_behind_the_wire_reads_as_in_process():
    wired, direct = WiredRobot(MujocoRobot()), MujocoRobot()
    for robot in (wired, direct):
        robot.connect()
        for k in range(50):
            robot.write(command(k))
            robot.step()
    assert np.allclose(wired.read().joint_pos, direct.read().joint_pos, atol=1e-5)
    assert np.allclose(wired.read().pelvis_quat_w, direct.read().pelvis_quat_w, atol=1e-5)
    wired.close()
    direct.close()


def test_the_vendors_service_is_released_until_none_is_active():
    switcher = SimulatedMotionSwitcher("ai")
    assert release_motion_service(switcher.handle, pause_s=0.0) == ["ai"]
    assert switcher.active == ""
    assert release_motion_service(switcher.handle, pause_s=0.0) == []


def test_a_service_that_does_not_let_go_is_named():
    def stubborn(api_id, parameter):
        return (0, '{"name": "mcf"}') if api_id == CHECK_MODE else (0, "")

    with pytest.raises(RobotError, match="'mcf' still controls the robot after 3 releases"):
        release_motion_service(stubborn, attempts=3, pause_s=0.0)


@pytest.mark.parametrize("answer", [(3104, ""), (0, "[]"), (0, "ai")])
def test_a_switcher_that_talks_nonsense_is_an_error(answer):
    with pytest.raises(RobotError, match="motion switcher"):
        release_motion_service(lambda *_: answer, pause_s=0.0)


def test_motion_switcher_over_dds():
    link = DdsLink("lo")
    switcher = SimulatedMotionSwitcher("ai")
    server = RpcServer(link, SERVICE, switcher.handle)

    class PolledClient(RpcClient):
        """Lets the server answer while it waits, as both are in one thread here."""

        def call(self, api_id, parameter="{}"):
            take = self._responses.take_samples
            self._responses.take_samples = lambda: (server.poll(), take())[1]
            try:
                return super().call(api_id, parameter)
            finally:
                self._responses.take_samples = take

    client = PolledClient(link, SERVICE, timeout_s=5.0)
    assert release_motion_service(client.call, pause_s=0.0) == ["ai"]
    link.close()


def test_simulated_robot_refuses_a_loss_of_everything():
    with pytest.raises(ConfigError, match="loss = 1"):
        ChannelConfig(loss=1.0)
