"""Launch arguments that several launch files share; `ros2 launch bm_bringup FILE --show-args` is the manual."""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument


def argument(name: str, default: str, description: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
    """One argument with what it is for."""
    return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)


def switch(name: str, default: str, description: str) -> DeclareLaunchArgument:
    """An argument that is true or false."""
    return argument(name, default, description, ["true", "false"])


BACKEND = [
    argument(
        "backend",
        "sim",
        "sim: a simulated G1 behind Unitree's own DDS topics on loopback. hardware: a real one; needs "
        "network_interface, starts disarmed in damping, and moves only after /arm with a fresh /operator/heartbeat.",
        ["sim", "hardware"],
    ),
    argument(
        "network_interface",
        "",
        "Hardware: the interface that the robot's cable is in, such as eth0. Not used in simulation.",
    ),
    switch("use_sim_time", "false", "Simulation: stamps are the simulated robot's own time, from /clock."),
    argument(
        "stall_allowance",
        "",
        "Simulation: s (0..2) for which this computer may stand still before the guard calls it a fault; empty: 0.2. "
        "0 has the limits of a real robot, where nothing else is allowed.",
    ),
    argument(
        "real_time_factor",
        "1.0",
        "Simulation: simulated s per s of the wall clock (0.05..1), for computers that cannot keep up with 500 Hz.",
    ),
    argument("event_log", "", "File to which the bridge appends its events (JSON lines); empty: none."),
]
POLICY = [
    argument("policy", "", "Policy bundle (.onnx); empty: the shipped one."),
    argument("provider", "cpu", "Execution provider of the network.", ["cpu", "cuda", "tensorrt"]),
]
DISPLAY = [
    switch("rviz", "false", "Start RViz with robot, reference ghost, plan and waypoints."),
    switch("foxglove", "false", "Start foxglove_bridge (layout: share/bm_bringup/foxglove/g1.json)."),
    switch("headless", "false", "Start no window at all, whatever rviz says; for servers and tests."),
    argument(
        "ghost",
        "auto",
        "Publish the reference as a second robot below reference/. auto: if something displays it.",
        ["auto", "true", "false"],
    ),
]
RECORD = [
    switch("record", "false", "Record everything with rosbag2 (mcap); `bm replay` compares the bag with the policy."),
    argument("bag", "", "Folder of the recording; empty: bags/<date and time>."),
]
OPERATOR = [
    argument(
        "joystick",
        "none",
        "Gamepad of the operator: its map of buttons is config/joy/NAME.yaml. unitree: the robot's own remote.",
        ["none", "xbox", "ps4", "ps5", "unitree"],
    ),
]
