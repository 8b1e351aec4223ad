"""kill -9 of the policy node: its control process and the bridge see to it that the robot damps."""

import unittest

import launch_testing
from launched import RobotCase, events, kill, pid_of, tracking

from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.guard_limits import GuardLimits

SLACK_TICKS = 40
"""The tick that is looked at is up to 25 ticks old; the rest is for the kill and the closing of a socket."""


def generate_test_description():
    return tracking()


class PolicyIsKilled(RobotCase):
    def test_robot_damps_within_the_guards_limit(self, proc_info):
        self.console.until_mode("running")
        bridge = BridgeClient("lo")
        before = bridge.status()["tick"]
        kill(pid_of(proc_info, "policy"))
        self.console.until(lambda: events("fault"), "fault in the event log")
        (fault,) = events("fault")
        self.assertIn(fault["name"], ("estop", "silent_policy"))
        self.assertLessEqual(fault["tick"] - before, GuardLimits().silent_ticks + SLACK_TICKS)
        self.assertEqual(events("mode")[-1]["mode"], "damping")


@launch_testing.post_shutdown_test()
class Afterwards(unittest.TestCase):
    def test_everything_has_ended_by_itself_after_damping(self, proc_info):
        bridge = next(name for name in proc_info.process_names() if name.startswith("bridge"))
        self.assertEqual(proc_info[bridge].returncode, 0)
        self.assertEqual(len(events("end")), 1)
