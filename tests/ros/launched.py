"""What the launch tests share: including one of our launch files, and a test case with a console on the robot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from console import Console
from launch import Action, LaunchDescription
from launch.actions import ExecuteProcess, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_testing.actions import ReadyToTest

from bm_sim2real.bridge.event_log import read_events
from bm_sim2real.guard_limits import GuardLimits

FOLDER = Path(os.environ["BM_TEST_FOLDER"])
"""Where this test may write."""
EVENTS = FOLDER / "events.jsonl"
"""The bridge's event log, if the launch file was given `event_log`."""
STALL_S = 1.0
"""s for which the computer of a test may stand still."""
BRIEF_STALL_S = 0.3
"""The same where the guard has to be faster than the end of the launch that follows a killed process."""
REAL_TIME_FACTOR = 0.5
"""Simulated s per s of the wall clock: two slow cores do not carry robot, bridge and nodes at 500 Hz."""
LIMITS, BRIEF_LIMITS = (GuardLimits().allowing_stalls(seconds) for seconds in (STALL_S, BRIEF_STALL_S))
"""A reaction is judged in ticks, by these."""
_WITNESS, _SEEN = "witness", FOLDER / "seen"
UNATTENDED = {
    "headless": "true",
    "event_log": EVENTS,
    "stall_allowance": STALL_S,
    "real_time_factor": REAL_TIME_FACTOR,
}
"""Arguments of every launch with a robot."""


def included(file: str, package: str = "bm_bringup", **arguments: object) -> IncludeLaunchDescription:
    """A launch file with arguments."""
    source = PythonLaunchDescriptionSource(f"{get_package_share_directory(package)}/launch/{file}.launch.py")
    return IncludeLaunchDescription(source, launch_arguments=[(name, str(value)) for name, value in arguments.items()])


def together(*actions: Action) -> LaunchDescription:
    """What a test launches; its cases begin at once and wait for what they need."""
    return LaunchDescription([*actions, _witness(), ReadyToTest()])


def launched(file: str, **arguments: object) -> LaunchDescription:
    """One of bm_bringup's launch files."""
    return together(included(file, **arguments))


def tracking(**arguments: object) -> LaunchDescription:
    """g1_tracking without windows, with an event log, on a computer that may stand still."""
    return launched("g1_tracking", **{**UNATTENDED, **arguments})


def _witness() -> ExecuteProcess:
    """Outlives a launch that ends by itself until the test case has seen it; launch_testing would call it a failure."""
    _SEEN.unlink(missing_ok=True)
    EVENTS.unlink(missing_ok=True)  # of an earlier launch in the same folder
    # Five more seconds, so that the test has ended by then; less if it is the test's end that ends the launch.
    wait = f"trap '' INT TERM; until [ -e '{_SEEN}' ]; do sleep 0.2; done; trap 'exit 0' INT TERM"
    wait += "; for _ in {1..25}; do sleep 0.2; done"
    return ExecuteProcess(cmd=["bash", "-c", wait], name=_WITNESS, sigterm_timeout="600", sigkill_timeout="600")


def processes(proc_info) -> list[str]:
    """Names of the launch's own processes."""
    return [name for name in proc_info.process_names() if not name.startswith(_WITNESS)]


def events(*names: str) -> list[dict]:
    """Those of the bridge's events so far."""
    return [event for event in read_events(EVENTS) if event["event"] in names]


def pid_of(proc_info, name: str) -> int:
    """Of a process of this launch, by the beginning of its name."""
    (found,) = [known for known in proc_info.process_names() if known.startswith(name)]
    return proc_info[found].pid


def kill(pid: int) -> None:
    """kill -9."""
    os.kill(pid, signal.SIGKILL)


class LaunchCase(unittest.TestCase):
    """Cases run in the order of their names, on one launch, which may end meanwhile.

    Behind one that failed the others are skipped: each would wait in vain for what the robot no longer does.
    """

    _has_failed = False

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        if result is None or type(self)._has_failed:
            return super().run(result)
        before = len(result.failures) + len(result.errors)
        super().run(result)
        type(self)._has_failed = len(result.failures) + len(result.errors) > before
        return result

    def setUp(self) -> None:
        if type(self)._has_failed:
            self.skipTest("a case before it failed")

    @classmethod
    def tearDownClass(cls) -> None:
        _SEEN.touch()


class RobotCase(LaunchCase):
    """The same with a console."""

    console: Console

    @classmethod
    def setUpClass(cls) -> None:
        cls.console = Console()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.console.close()
        super().tearDownClass()

    def assert_streams_damping(self) -> None:
        """Frames on the wire go on, and none of them has stiffness. Unitree's DDS stays out of this process."""
        script = Path(__file__).with_name("lowcmd_frames.py")
        seen = json.loads(subprocess.run([sys.executable, str(script)], check=True, capture_output=True).stdout)
        self.assertGreaterEqual(seen["frames"], 50)
        self.assertEqual(seen["stiff"], 0)
