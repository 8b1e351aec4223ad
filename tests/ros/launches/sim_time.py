"""use_sim_time: stamps are the simulated robot's own time."""

from bm_msgs.msg import JointCommand
from console import SENSOR
from launched import RobotCase, tracking
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, JointState


def generate_test_description():
    return tracking(use_sim_time="true", start_paused="true")


class StampsAreSimulated(RobotCase):
    def test_1_stands(self):
        self.console.until_mode("stand")

    def test_2_stamps_follow_the_clock(self):
        for kind, topic in ((Imu, "imu/pelvis"), (JointState, "joint_states"), (JointCommand, "joint_command")):
            stamp = seconds(self.console.hear(kind, topic, SENSOR).header.stamp)
            clock = seconds(self.console.hear(Clock, "/clock", SENSOR).clock)
            self.assertLess(abs(clock - stamp), 3.0, topic)  # the wall clock is decades away
            self.assertLess(clock, 1e6)


def seconds(stamp) -> float:
    return stamp.sec + 1e-9 * stamp.nanosec
