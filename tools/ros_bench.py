"""`python tools/ros_bench.py [MINUTES] [--json FILE]`: is `ros2 launch bm_bringup g1_tracking.launch.py` in time?

The launch as a user types it (only without windows), and beside it a bare 500 Hz loop at the writer's priority. Passed:
no fault, policy period p99 < 22 ms, age of the command at the writer p99 < 25 ms, ticks later than 2 ms at most twice
those of the bare loop. Exit 0 passed, 1 failed, 2 could not run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "ros"))
from ros_install import NoRos, build, find_setup  # noqa: E402

MOST_PERIOD_MS, MOST_AGE_MS, MOST_LATE, LATE_MS = 22.0, 25.0, 2.0, 2.0
_SOURCED = "BM_ROS_BENCH"
_START_S = 120.0
_END_S = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", nargs="?", type=float, default=5.0, help="of walking; default 5")
    parser.add_argument("--json", type=Path, help="also write the result as one JSON document")
    arguments = parser.parse_args()
    if _SOURCED not in os.environ:  # once more with ROS 2 and the workspace sourced
        try:
            environment = {**build(find_setup()), _SOURCED: "1", "BM_DDS_TAG": f"ros-bench-{os.getpid()}"}
        except NoRos as reason:
            sys.stderr.write(f"error: no ROS 2: {reason}\n")
            return 2
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    from bm_sim2real.process_signals import temporary_folder

    with temporary_folder() as folder:
        found = measure(arguments.minutes, folder)
    if found is None:
        return 2
    passed = report(found)
    if arguments.json is not None:
        from bm_sim2real.result_json import write_result

        write_result(arguments.json, command="ros_bench", rows=[], summary=found, passed=passed)
    return 0 if passed else 1


def measure(minutes: float, folder: Path) -> dict[str, Any] | None:
    """What was seen; None if the robot did not come to walk."""
    events, idle = folder / "events.jsonl", folder / "idle.json"
    launch = ["ros2", "launch", "bm_bringup", "g1_tracking.launch.py", "headless:=true", f"event_log:={events}"]
    bare = [sys.executable, "-m", "bm_sim2real.soak_processes", "idle", str(idle)]
    with (folder / "launch.log").open("w") as log:
        processes = [
            subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
            for command in (launch, bare)
        ]
    try:
        status = listen(60.0 * minutes, processes[0])
    finally:
        for process, number in zip(processes, (signal.SIGINT, signal.SIGTERM), strict=True):
            process.send_signal(number)
            process.wait(_END_S)
    if status is None:
        sys.stderr.write((folder / "launch.log").read_text()[-3000:] + "error: the robot does not walk; see above\n")
        return None
    return summary(minutes, status, events, json.loads(idle.read_text())["late_ticks"])


def listen(seconds: float, launch: subprocess.Popen[bytes]) -> Any:
    """The newest PolicyStatus after so many s of walking, or at a fault; None if it never walked."""
    import rclpy
    from bm_msgs.msg import PolicyStatus
    from rclpy.qos import DurabilityPolicy, QoSProfile

    rclpy.init()
    node, heard = rclpy.create_node("ros_bench"), []
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.create_subscription(PolicyStatus, "policy/status", lambda status: heard.append(status), latched)
    begun, end = None, time.monotonic() + _START_S
    while time.monotonic() < end and launch.poll() is None:
        rclpy.spin_once(node, timeout_sec=0.2)
        del heard[:-1]
        if heard and heard[-1].fault:
            break
        if begun is None and heard and heard[-1].is_playing:
            begun = time.monotonic()
            end = begun + seconds
    node.destroy_node()
    rclpy.shutdown()
    return heard[-1] if begun is not None else None


def summary(minutes: float, status: Any, events: Path, idle: list[int]) -> dict[str, Any]:
    """Policy's own numbers, the bridge's at its end, the bare loop's."""
    from bm_sim2real.bridge.event_log import read_events
    from bm_sim2real.timing import LateHistogram

    log = read_events(events)
    (end,) = [event["status"] for event in log if event["event"] == "end"] or [{"late_ticks": idle, "timing_ms": {}}]
    faults = [f"{e['name']}: {e['detail']}" for e in log if e["event"] == "fault" and e["name"] != "shutdown"]
    if status.fault and not faults:
        faults = [status.fault]
    return {
        "minutes": minutes,
        "control_steps": status.steps,
        "faults": faults,
        "period_ms": {key: getattr(status, f"period_{key}") for key in ("p50", "p99", "max")},
        "inference_ms": {key: getattr(status, f"inference_{key}") for key in ("p50", "p99", "max")},
        "command_age_ms": {key: getattr(status, f"command_age_{key}") for key in ("p50", "p99", "max")},
        "writer_period_ms": end["timing_ms"].get("writer_period", {}),
        "late_ticks": {
            "writer": LateHistogram.later_than(end["late_ticks"], LATE_MS),
            "bare loop": LateHistogram.later_than(idle, LATE_MS),
        },
        "ticks": {"writer": sum(end["late_ticks"]), "bare loop": sum(idle)},
        "late_histogram": {"writer": end["late_ticks"], "bare loop": idle},
    }


def report(found: dict[str, Any]) -> bool:
    """Prints the lines; whether all are met."""
    late = found["late_ticks"]
    lines = [
        ("faults", "; ".join(found["faults"]) or "none", not found["faults"]),
        _timing("policy period", found["period_ms"], MOST_PERIOD_MS),
        _timing("command age", found["command_age_ms"], MOST_AGE_MS),
        (
            f"ticks later than {LATE_MS:g} ms",
            f"{late['writer']} of {found['ticks']['writer']}; bare loop {late['bare loop']} of "
            f"{found['ticks']['bare loop']}; at most {MOST_LATE:g} times",
            late["writer"] <= MOST_LATE * max(1, late["bare loop"]),
        ),
    ]
    print(f"{found['control_steps']} control steps")
    for name, text, is_met in lines:
        print(f"{name:24} {text}: {'ok' if is_met else 'FAILED'}")
    return all(is_met for *_, is_met in lines)


def _timing(name: str, numbers: dict[str, float], most: float) -> tuple[str, str, bool]:
    shown = ", ".join(f"{key} {value:.2f}" for key, value in numbers.items())
    return name, f"{shown} ms; p99 below {most:g} ms", numbers["p99"] < most


if __name__ == "__main__":
    sys.exit(main())
