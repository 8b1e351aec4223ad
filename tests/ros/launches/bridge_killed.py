"""kill -9 of the guardian: the writer damps, everything else goes down, nothing starts again by itself."""

import unittest

import launch_testing
from console import PATIENCE_S
from launched import RobotCase, events, kill, pid_of, processes, tracking

from bm_sim2real.bridge.client import BridgeClient


def generate_test_description():
    return tracking()


class GuardianIsKilled(RobotCase):
    def test_writer_damps_and_the_launch_ends_by_itself(self, proc_info):
        self.console.until_mode("running")
        writer = BridgeClient("lo").pids[1]
        kill(pid_of(proc_info, "bridge"))
        self.console.until(lambda: events("fault"), "fault in the event log")
        self.assertEqual([event["name"] for event in events("fault")], ["guardian_lost"])
        self.assertEqual(events("mode")[-1]["mode"], "damping")

        for name in processes(proc_info):
            proc_info.assertWaitForShutdown(name, timeout=PATIENCE_S)
        kill(writer)  # it would damp until somebody takes the robot over


@launch_testing.post_shutdown_test()
class Afterwards(unittest.TestCase):
    def test_others_have_ended_in_order(self, proc_info):
        codes = {name.split("-")[0]: proc_info[name].returncode for name in processes(proc_info)}
        self.assertEqual(codes.pop("bridge"), -9)
        self.assertEqual(set(codes.values()), {0}, codes)
