"""The ROS 2 of this machine: where it is, and the environment of a shell that has sourced it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKSPACE = ROOT / "build" / "ros2"
"""Build, install and log folders of these tests; ignored by git, kept between runs."""
DOMAIN = "42"
"""ROS_DOMAIN_ID of the tests. Unitree's is 0, its simulation's 1."""
_LOOPBACK_ONLY = (
    '<CycloneDDS><Domain><General><Interfaces><NetworkInterface name="lo" multicast="true"/></Interfaces>'
    f"</General><Discovery><Tag>bm-tests-{os.getpid()}</Tag></Discovery></Domain></CycloneDDS>"
)
"""With a tag: tests in another checkout do not hear each other."""


class NoRos(Exception):
    """Why there is no ROS 2 to test with."""


def find_setup() -> Path:
    """setup.bash of the newest distribution that this interpreter can use. NoRos says why there is none."""
    found = sorted(Path("/opt/ros").glob("*/setup.bash"), reverse=True)
    if not found:
        raise NoRos("no /opt/ros/*/setup.bash")
    for setup in found:
        if _imports(sourced(setup), "rclpy"):
            return setup
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise NoRos(f"rclpy of {found[0].parent} is not for Python {version}, which runs the tests")


def skip_without_ros() -> None:
    """Skips the test module that calls it, with one line that says why."""
    import pytest

    try:
        find_setup()
    except NoRos as reason:
        pytest.skip(f"these tests need ROS 2: {reason}", allow_module_level=True)


def sourced(*setups: Path) -> dict[str, str]:
    """The environment after sourcing those files, with DDS on loopback only and a domain of its own."""
    lines = "".join(f'source "{setup}" > /dev/null; ' for setup in setups)
    output = subprocess.run(["bash", "-c", f"{lines} env -0"], check=True, capture_output=True, env=_clean()).stdout
    pairs = (entry.split("=", 1) for entry in output.decode().split("\0") if "=" in entry)
    return {
        **dict(pairs),
        "CYCLONEDDS_URI": _LOOPBACK_ONLY,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": DOMAIN,
        "ROS_LOG_DIR": str(WORKSPACE / "log" / "ros"),
    }


def build(setup: Path) -> dict[str, str]:
    """Builds ros2_ws with this interpreter; the environment of its users. AssertionError with colcon's output."""
    # Without a number of its own colcon tells make to wait while the machine is busy.
    environment = {**sourced(setup), "MAKEFLAGS": f"-j{os.cpu_count()}"}
    colcon(environment, "build", "--symlink-install", "--cmake-args", f"-DPython3_EXECUTABLE={sys.executable}")
    return sourced(setup, WORKSPACE / "install" / "setup.bash")


def colcon(environment: dict[str, str], verb: str, *options: str) -> str:
    """`colcon build` or `colcon test` of ros2_ws, with this interpreter; its output. AssertionError if it fails."""
    command = [sys.executable, "-m", "colcon", f"--log-base={WORKSPACE / 'log'}", verb]
    command += [f"--{name}-base={WORKSPACE / name}" for name in ("build", "install")]
    command += ["--base-paths", str(ROOT / "ros2_ws" / "src"), *options]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"colcon {verb} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def _imports(environment: dict[str, str], module: str) -> bool:
    return (
        subprocess.run([sys.executable, "-c", f"import {module}"], env=environment, capture_output=True).returncode == 0
    )


def _clean() -> dict[str, str]:
    """Ours, less what another workspace or pytest has put there; colcon installs compiled files."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "AMENT_PREFIX_PATH", "COLCON_PREFIX_PATH", "CMAKE_PREFIX_PATH")
    return {name: value for name, value in os.environ.items() if name not in dropped and not name.startswith("PYTEST_")}
