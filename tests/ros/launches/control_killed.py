"""kill -9 of the policy node together with its control process: only the bridge's own watch is left."""

import os
from pathlib import Path

from launched import BRIEF_LIMITS, BRIEF_STALL_S, RobotCase, events, kill, pid_of, tracking


def generate_test_description():
    return tracking(stall_allowance=BRIEF_STALL_S)


class BothAreKilled(RobotCase):
    def test_bridge_damps_by_the_tick_of_its_limit(self, proc_info):
        self.console.until_mode("running")
        node = pid_of(proc_info, "policy")
        for pid in (*children(node), node):
            kill(pid)
        self.console.until(lambda: events("fault"), "fault in the event log")
        (fault,) = events("fault")
        self.assertEqual(fault["name"], "silent_policy")
        self.assertLessEqual(fault["command_age_ticks"], BRIEF_LIMITS.silent_ticks)
        self.assertEqual(events("mode")[-1]["mode"], "damping")


def children(pid: int) -> list[int]:
    """Of a process, from /proc."""
    return [int(text) for task in os.listdir(f"/proc/{pid}/task") for text in _listed(pid, task)]


def _listed(pid: int, task: str) -> list[str]:
    return Path(f"/proc/{pid}/task/{task}/children").read_text().split()
