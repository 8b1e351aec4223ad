"""What the comparison in real time makes of truth and aims; the processes themselves are run by bm eval wire."""

import numpy as np
import pytest
import unitree_wire  # noqa: F401  the DDS extra, and a tag of our own

from bm_core.data import shipped
from bm_core.g1 import G1
from bm_core.motion import load_clip
from bm_core.state import LowCommand
from bm_sim2real.evaluation import put_on_frame
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.protocol import BaseState
from bm_sim2real.robots.truth_log import TruthLog
from bm_sim2real.standing import standing_frame
from bm_sim2real.wire_evaluation import errors_in_process
from bm_sim2real.wire_processes import Aim, Truth, body_errors, equal_delay_ms, stances, wire_delay_ms

ZERO = np.zeros(29)


def command(seq, q):
    return LowCommand(seq=seq, state_seq=0, q=q, dq=ZERO, tau=ZERO, kp=G1.kp, kd=G1.kd)


@pytest.fixture
def logged(tmp_path):
    """60 ticks; the reading at 20 ms is answered 6 ms later, that at 40 ms never."""
    robot, path = MujocoRobot(), tmp_path / "truth.npz"
    robot.connect()
    log, newest = TruthLog(path), command(0, G1.default_joint_pos)
    for tick in range(60):
        if tick == 13:
            newest = command(1, G1.default_joint_pos + 0.01)
        robot.write(newest)
        robot.step()
        log.add(robot, newest)
    log.close()
    yield robot, Truth.load(path)
    robot.close()


def aim(time, q, frame=None):
    return Aim(clip="clip", time=time, frame=frame or standing_frame(), target=q.astype(np.float32))


def test_the_delay_is_counted_from_the_reading_to_the_tick_that_obeys(logged):
    _, truth = logged
    aims = [aim(0.020, G1.default_joint_pos + 0.01), aim(0.040, G1.default_joint_pos + 0.5)]
    assert wire_delay_ms(aims, truth) == pytest.approx([6.0])
    assert equal_delay_ms([4.1, 6.1, 9.0]) == 6


def test_errors_are_those_of_the_truth_one_period_after_the_reading(logged):
    robot, truth = logged
    assert np.array_equal(truth.qpos[-1], robot.qpos()) and truth.row(0.120) == 59
    frame = standing_frame()
    still = body_errors([aim(0.0, ZERO, frame)], truth)["clip"][0]
    truth.qpos[truth.row(0.020), 7 + G1.joint_index["left_knee_joint"]] += 0.3
    bent = body_errors([aim(0.0, ZERO, frame)], truth)["clip"][0]
    assert bent - still > 0.005
    assert body_errors([aim(0.002, ZERO, frame)], truth)["clip"][0] == pytest.approx(still, abs=0.002)


def test_each_clip_is_repeated_from_the_stance_it_was_begun_in(logged):
    _, truth = logged
    truth.qpos[truth.row(0.040), 0] = 3.0
    aims = [Aim(clip=name, time=time, frame=standing_frame(), target=ZERO) for name, time in (("a", 0.02), ("b", 0.04))]
    begun = stances([*aims, Aim(clip="b", time=0.06, frame=standing_frame(), target=ZERO)], truth)
    assert list(begun) == ["a", "b"] and begun["b"][0] == 3.0
    assert np.array_equal(begun["a"], truth.qpos[truth.row(0.020)])


def test_feet_that_stand_elsewhere_show_in_one_process_as_they_do_over_the_wire():
    policy = TrackerPolicy.load(shipped("policies", "g1_tracker.onnx"))
    clip = load_clip(shipped("motions", "stand.npz")).slice(0.0, 1.0)
    robot = MujocoRobot()
    robot.connect()
    put_on_frame(robot, standing_frame())
    stance = robot.qpos().copy()
    robot.close()
    usual, fault = errors_in_process(policy, clip, BaseState.NONE, 2)
    same, _ = errors_in_process(policy, clip, BaseState.NONE, 2, stance)
    stance[7 + G1.joint_index["left_hip_yaw_joint"]] += 0.15
    turned, turned_fault = errors_in_process(policy, clip, BaseState.NONE, 2, stance)
    assert not fault and not turned_fault
    assert np.mean(same) == pytest.approx(np.mean(usual), rel=0.05) and np.mean(turned) > 1.1 * np.mean(usual)


def test_without_a_path_nothing_is_kept(tmp_path, logged):
    log = TruthLog(None)
    log.add(logged[0], None)
    log.close()
    assert len(log._time) == 0
