"""Launch tests need a sourced ROS 2 and a built workspace: both are found or made here, once."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from launch_test_run import LaunchTestRun  # noqa: E402
from ros_install import WORKSPACE, build, find_setup  # noqa: E402


@pytest.fixture(scope="session")
def ros_environment() -> Iterator[dict[str, str]]:
    """Of a shell with ROS 2 and the workspace sourced. One holder at a time: there is one simulated robot on lo."""
    WORKSPACE.mkdir(parents=True, exist_ok=True)
    with (WORKSPACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield build(find_setup())


@pytest.fixture
def launch_test(ros_environment: dict[str, str], tmp_path: Path) -> LaunchTestRun:
    """Runs one of the files in launches/ as launch_test does."""
    return LaunchTestRun(ros_environment, tmp_path)
