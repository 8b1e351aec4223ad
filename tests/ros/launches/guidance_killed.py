"""g1_diffusion follows /cmd_vel; kill -9 of the guidance node: the robot brakes, stands, and stays until /reset."""

import os

from geometry_msgs.msg import TwistStamped
from launched import UNATTENDED, RobotCase, kill, launched, pid_of


def generate_test_description():
    planner = os.environ["BM_TEST_PLANNER"]
    return launched("g1_diffusion", **UNATTENDED, planner=planner)


class GuidanceIsKilled(RobotCase):
    def test_1_follows_cmd_vel(self):
        self.console.until_mode("stand")
        self.console.until(lambda: self.console.robot.seq, "a reading")
        start = self.console.robot.base_position
        velocity = TwistStamped()
        self.console.repeat("cmd_vel", velocity, rate=20.0)
        while self.distance(start) < 0.5:
            # A computer that stands still loses plans: the robot stands, until it was told to and then to walk again.
            velocity.twist.linear.x = 0.0
            self.console.until_steps(50)
            velocity.twist.linear.x = 0.3
            self.console.until_mode("running")
            self.console.until(lambda: self.is_standing() or self.distance(start) > 0.5, "half a metre walked")

    def test_2_brakes_and_stands(self, proc_info):
        kill(pid_of(proc_info, "guidance"))
        self.console.until(lambda: "guidance" in self.console.status.held, "word that the guidance is missed")
        self.console.until_mode("stand")

    def is_standing(self) -> bool:
        return self.console.status.mode == "stand"

    def distance(self, start) -> float:
        now = self.console.robot.base_position
        return ((now.x - start.x) ** 2 + (now.y - start.y) ** 2) ** 0.5
