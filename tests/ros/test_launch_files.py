"""Every launch file with the real rclpy, on the simulated robot: one launch a test, its cases in launches/NAME.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from launch_test_run import LaunchTestRun
from ros_install import ROOT, skip_without_ros

skip_without_ros()
pytestmark = pytest.mark.slow

PLANNER = ROOT / "policies" / "g1_diffusion.onnx"

BACKEND_REFUSALS = {
    "backend:=hardware": "needs network_interface",
    "backend:=hardware network_interface:=lo": "use backend:=sim",
    "backend:=hardware network_interface:=eth0 use_sim_time:=true": "no simulated time",
    "backend:=hardware network_interface:=eth0 stall_allowance:=0.5": "a real robot falls",
    "stall_allowance:=long": "a number expected",
    "backend:=hardware network_interface:=eth0 real_time_factor:=0.5": "the time of the wall clock",
}


def test_commands_by_topic_walk_too_and_wrong_quality_of_service_is_named(launch_test: LaunchTestRun):
    launch_test("topic_transport")


def test_killed_policy_node_damps(launch_test: LaunchTestRun):
    launch_test("policy_killed")


def test_killed_control_process_damps(launch_test: LaunchTestRun):
    launch_test("control_killed")


def test_killed_bridge_ends_everything_and_the_next_default_launch_walks(launch_test: LaunchTestRun):
    launch_test("bridge_killed")
    launch_test("tracking")


def test_gamepad_and_lifecycle_in_simulated_time(launch_test: LaunchTestRun):
    launch_test("gamepad")


def test_senseless_parameters_are_refused(launch_test: LaunchTestRun):
    launch_test("bad_parameters")


def test_the_model_is_displayed_and_goals_are_made_without_a_robot(launch_test: LaunchTestRun):
    launch_test("without_robot")


def test_missing_planner_is_named(launch_test: LaunchTestRun):
    launch_test("no_planner")


@pytest.mark.skipif(not PLANNER.is_file(), reason=f"no guided policy is shipped yet: {PLANNER.name}")
def test_killed_guidance_brakes_and_stands(launch_test: LaunchTestRun):
    launch_test("guidance_killed", BM_TEST_PLANNER=str(PLANNER))


def test_operator_selects_plays_cancels_and_stops_and_the_bag_replays_without_a_difference(
    launch_test: LaunchTestRun, ros_environment: dict[str, str]
):
    launch_test("operator")
    bag, report = launch_test.folder / "bag", launch_test.folder / "replay.json"
    command = [sys.executable, "-m", "bm_sim2real.cli", "replay", str(bag), "--json", str(report)]
    done = subprocess.run(command, env=ros_environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(report.read_text())["summary"]
    assert summary["largest_difference"] < 1e-6
    assert summary["steps"] > 130  # a motion of 2.6 s
    launch_test("replaying")


@pytest.mark.parametrize("arguments", BACKEND_REFUSALS)
def test_arguments_that_contradict_each_other_end_the_launch(
    arguments: str, ros_environment: dict[str, str], tmp_path: Path
):
    done = _ros2(ros_environment, tmp_path, "launch", "bm_bringup", "g1_tracking.launch.py", *arguments.split())
    assert done.returncode != 0
    assert BACKEND_REFUSALS[arguments] in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_every_argument_of_every_launch_file_is_described(ros_environment: dict[str, str], tmp_path: Path):
    share = Path(ros_environment["AMENT_PREFIX_PATH"].split(":")[0]).parent
    files = sorted(path for path in share.glob("bm_*/share/bm_*/launch/*.launch.py"))
    assert files
    for path in files:
        shown = _ros2(ros_environment, tmp_path, "launch", path.parts[-3], path.name, "--show-args").stdout
        assert "no description given" not in shown, f"{path.name}:\n{shown}"


def _ros2(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ros2", *arguments], env=environment, cwd=folder, capture_output=True, text=True, timeout=120
    )
