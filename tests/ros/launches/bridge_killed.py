"""kill -9 of the guardian: the writer damps, everything else goes down, nothing starts again by itself."""

import unittest

import launch_testing
from launched import RobotCase, events, kill, pid_of, tracking


def generate_test_description():
    return tracking()


class GuardianIsKilled(RobotCase):
    def test_writer_damps(self, proc_info):
        self.console.until_mode("running")
        kill(pid_of(proc_info, "bridge"))
        self.console.until(lambda: events("fault"), "fault in the event log")
        self.assertEqual([event["name"] for event in events("fault")], ["guardian_lost"])
        self.assertEqual(events("mode")[-1]["mode"], "damping")


@launch_testing.post_shutdown_test()
class Afterwards(unittest.TestCase):
    def test_launch_has_ended_because_of_the_bridge(self, proc_output):
        launch_testing.asserts.assertInStderr(proc_output, "the bridge has died", None, strict_proc_matching=False)
