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
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_testing.actions import ReadyToTest

from bm_sim2real.bridge.event_log import read_events

FOLDER = Path(os.environ["BM_TEST_FOLDER"])
"""Where this test may write."""
EVENTS = FOLDER / "events.jsonl"
"""The bridge's event log, if the launch file was given `event_log`."""


def launched(file: str, package: str = "bm_bringup", **arguments: object) -> LaunchDescription:
    """A launch file with arguments; the tests begin at once and wait for what they need."""
    source = PythonLaunchDescriptionSource(f"{get_package_share_directory(package)}/launch/{file}.launch.py")
    given = [(name, str(value)) for name, value in arguments.items()]
    return LaunchDescription([IncludeLaunchDescription(source, launch_arguments=given), ReadyToTest()])


def tracking(**arguments: object) -> LaunchDescription:
    """g1_tracking without windows, with an event log."""
    return launched("g1_tracking", headless="true", event_log=EVENTS, **arguments)


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


class RobotCase(unittest.TestCase):
    """Cases run in the order of their names, on one launch."""

    console: Console

    @classmethod
    def setUpClass(cls) -> None:
        cls.console = Console()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.console.close()

    def assert_streams_damping(self) -> None:
        """Frames on the wire go on, and none of them has stiffness. Unitree's DDS stays out of this process."""
        script = Path(__file__).with_name("lowcmd_frames.py")
        seen = json.loads(subprocess.run([sys.executable, str(script)], check=True, capture_output=True).stdout)
        self.assertGreaterEqual(seen["frames"], 50)
        self.assertEqual(seen["stiff"], 0)
