"""Torso IMU, battery, user control, an imperfect link, and listening only: golden bytes from the SDK's own types."""

import importlib

import numpy as np
import pytest
from unitree_wire import WiredRobot

from bm_core.errors import RobotError
from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.mirror import body_poses, panel_html
from bm_sim2real.robots.mock import MockRobot
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.simulation_config import SimulationConfig
from bm_sim2real.robots.unitree.battery import pack_bms, read_bms
from bm_sim2real.robots.unitree.channel import Channel, ChannelConfig
from bm_sim2real.robots.unitree.dds import LOW_COMMAND_TOPIC, USER_COMMAND_TOPIC
from bm_sim2real.robots.unitree.mock_link import MockNetwork
from bm_sim2real.robots.unitree.robot import UnitreeRobot
from bm_sim2real.robots.unitree.rpc import NOT_IMPLEMENTED
from bm_sim2real.robots.unitree.sdk import load_sdk
from bm_sim2real.robots.unitree.simulated import SimulatedG1
from bm_sim2real.robots.unitree.torso_imu import pack_torso_imu, read_torso_imu
from bm_sim2real.robots.unitree.user_control import SimulatedLoco, enter_user_control, leave_user_control

ZERO = np.zeros(29)


@pytest.fixture(scope="module")
def messages():
    load_sdk()
    return importlib.import_module("unitree_sdk2py.idl.unitree_hg.msg.dds_")


def test_torso_imu_bytes_are_those_of_the_sdk(messages):
    data = messages.IMUState_([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0], [8.0, 9.0, 10.0], [0.0] * 3, 40).serialize()
    imu = read_torso_imu(data)
    assert (imu.quat.tolist(), imu.gyro.tolist(), imu.acc.tolist()) == ([1, 2, 3, 4], [5, 6, 7], [8, 9, 10])
    assert pack_torso_imu(imu) == data and read_torso_imu(data[:50]) is None


def test_battery_bytes_are_those_of_the_sdk(messages):
    data = messages.BmsState_(
        1, 2, 3, list(range(40)), [7, 8, 9], -5, 77, 99, [1] * 12, 5, 6, [1] * 5, [2] * 3
    ).serialize()
    assert read_bms(data) == 77.0 and len(pack_bms(5.0)) == len(data) and read_bms(pack_bms(5.0)) == 5.0
    assert read_bms(b"") is None and read_bms(pack_bms(101.0)) is None


def test_a_wired_robot_hears_its_torso_imu_and_its_battery():
    robot = WiredRobot(MujocoRobot())
    robot.connect()
    for _ in range(300):
        robot.step()
        robot.read()
    assert robot.charge == 80.0 and robot.torso_imu is not None
    assert np.linalg.norm(robot.torso_imu.quat) == pytest.approx(1.0, abs=1e-6)
    robot.wire.has_torso_imu = False
    for _ in range(30):
        robot.step()
        robot.read()
    assert robot.torso_imu is None
    robot.close()


def test_who_only_listens_is_no_writer_and_cannot_command():
    network, body = MockNetwork(), MockRobot()
    body.connect()
    wire = SimulatedG1(body, link=network.link())

    class Listener(UnitreeRobot):
        def _open_link(self):
            return network.link()

        def _take(self):
            wire.publish()
            super()._take()

    listener = Listener()
    listener.connect(listens_only=True)
    assert listener.publishers() == frozenset() and listener.read().seq >= 0
    with pytest.raises(RobotError, match="listening only"):
        listener.write(LowCommand(seq=1, state_seq=0, q=ZERO, dq=ZERO, tau=ZERO, kp=ZERO, kd=ZERO))


def test_user_control_is_taken_and_given_back():
    loco = SimulatedLoco()
    enter_user_control(loco.handle)
    assert loco.has_user_control
    leave_user_control(loco.handle)
    assert not loco.has_user_control
    with pytest.raises(RobotError, match="this firmware has none"):
        enter_user_control(lambda api, parameter: (NOT_IMPLEMENTED, ""))
    topics = [BridgeConfig(user_control=on).robot.command_topic for on in (False, True)]
    assert topics == [LOW_COMMAND_TOPIC, USER_COMMAND_TOPIC]


def delivered(config, count=400, seed=3):
    """(tick of sending, tick of arrival) of every message that arrives."""
    channel, found = Channel(seed), []
    channel.config = config
    for tick in range(count + 50):
        if tick < count:
            channel.send(tick.to_bytes(4, "little"))
        found += [(int.from_bytes(message, "little"), tick) for message in channel.arrived()]
        channel.tick()
    return found


def test_a_perfect_link_delivers_at_once():
    assert delivered(ChannelConfig()) == [(k, k) for k in range(400)]


def test_latency_and_jitter_delay_but_keep_the_order():
    found = delivered(ChannelConfig(delay_ticks=3, jitter_ticks=4))
    delays = [arrival - sent for sent, arrival in found]
    assert len(found) == 400 and min(delays) == 3 and max(delays) == 7
    assert [sent for sent, _ in found] == list(range(400))


def test_loss_doubling_and_reordering_do_what_they_say():
    assert 220 < len(delivered(ChannelConfig(loss=0.4))) < 260
    assert 580 < len(delivered(ChannelConfig(duplicated=0.5))) < 620
    sent = [message for message, _ in delivered(ChannelConfig(reordered=0.2))]
    assert sent != sorted(sent) and sorted(sent) == list(range(400))
    assert delivered(ChannelConfig(loss=0.4)) == delivered(ChannelConfig(loss=0.4))


@pytest.mark.parametrize("limited, fastest", [(True, 1.02), (False, 1.5)])
def test_motors_with_a_speed_limit_do_not_outrun_it(limited, fastest):
    robot = MujocoRobot(SimulationConfig(has_speed_limit=limited))
    robot.connect()
    robot.hang()
    torque = np.zeros(29)
    torque[G1.joint_index["left_wrist_yaw_joint"]] = 5.0
    robot.write(LowCommand(seq=1, state_seq=0, q=ZERO, dq=ZERO, tau=torque, kp=ZERO, kd=ZERO))
    speed = 0.0
    for _ in range(20):
        robot.step()
        speed = max(speed, float(np.abs(robot.read().joint_vel / G1.velocity).max()))
    assert speed < fastest if limited else speed > fastest


def test_a_robot_that_was_picked_up_hangs_again_and_its_clock_goes_on():
    robot = MujocoRobot()
    robot.connect()
    for _ in range(100):
        robot.step()
    robot.pick_up()
    assert robot.is_hanging and robot.read().time == pytest.approx(0.2)


def test_the_mirror_puts_the_lowest_sole_on_the_floor_and_escapes_what_it_shows():
    robot = MujocoRobot()
    robot.connect()
    pos, quat = body_poses(robot.read())
    assert pos.shape == (30, 3) and quat.shape == (30, 4)
    assert pos[0, 2] == pytest.approx(robot.pelvis_height(), abs=0.03)
    assert "<b>&lt;x&gt;</b>" in panel_html("bridge", 0.01, {"fault": "<x>"})
