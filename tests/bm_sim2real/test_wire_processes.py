"""What the comparison in real time makes of truth and aims; the processes themselves are run by bm eval wire."""

import numpy as np
import pytest
import unitree_wire  # noqa: F401  the DDS extra, and a tag of our own

from bm_core.g1 import G1
from bm_core.state import LowCommand
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.truth_log import TruthLog
from bm_sim2real.standing import standing_frame
from bm_sim2real.wire_processes import Aim, Truth, body_errors, equal_delay_ms, wire_delay_ms

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


def test_without_a_path_nothing_is_kept(tmp_path, logged):
    log = TruthLog(None)
    log.add(logged[0], None)
    log.close()
    assert len(log._time) == 0
