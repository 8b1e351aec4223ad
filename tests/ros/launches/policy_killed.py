"""kill -9 of the policy node: its control process and the bridge see to it that the robot damps."""

import unittest

import launch_testing
from console import PATIENCE_S
from launched import LIMITS, RobotCase, events, kill, pid_of, processes, tracking

from bm_sim2real.bridge.client import BridgeClient

SEEN_TICKS = 25
"""How old the tick may be that a client sees."""


def generate_test_description():
    return tracking()


class PolicyIsKilled(RobotCase):
    def test_robot_damps_within_the_guards_limit(self, proc_info):
        self.console.until_mode("running")
        bridge = BridgeClient("lo")
        kill(pid_of(proc_info, "policy"))
        killed = bridge.status()["tick"]
        self.console.until(lambda: events("fault"), "fault in the event log")
        (fault,) = events("fault")
        self.assertIn(fault["name"], ("estop", "silent_policy"))
        self.assertLessEqual(fault["tick"] - killed, LIMITS.silent_ticks + SEEN_TICKS)
        self.assertLessEqual(fault["command_age_ticks"], LIMITS.silent_ticks)
        self.assertEqual(events("mode")[-1]["mode"], "damping")
        for name in processes(proc_info):
            proc_info.assertWaitForShutdown(name, timeout=PATIENCE_S)


@launch_testing.post_shutdown_test()
class Afterwards(unittest.TestCase):
    def test_everything_has_ended_by_itself_after_damping(self, proc_info):
        bridge = next(name for name in proc_info.process_names() if name.startswith("bridge"))
        self.assertEqual(proc_info[bridge].returncode, 0)
        self.assertEqual(len(events("end")), 1)
