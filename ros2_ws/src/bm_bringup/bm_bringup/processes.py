"""The processes of a launch: robot, bridge, nodes, displays. The bridge's end is the end of everything."""

from __future__ import annotations

import signal
from typing import Any

from ament_index_python.packages import get_package_share_directory
from bm_description.publisher import state_publisher
from launch import Action
from launch.actions import EmitEvent, ExecuteProcess, LogInfo, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown, matches_action
from launch.events.process import SignalProcess
from launch_ros.actions import LifecycleNode, Node
from launch_ros.substitutions import ExecutableInPackage

from bm_bringup.settings import Settings

UNITREE_REMOTE = "unitree"
_LOWER_AFTER_S = 4.0
"""s of stiff motors after which the simulated gantry lets the robot down: it stands by then."""
_LIFT_AFTER_S = 3.0
"""s of lying damped after which it picks the robot up again: then /reset and /arm go as on a real gantry."""


def simulated_robot(settings: Settings) -> ExecuteProcess:
    """A G1 on its gantry, behind the real topics."""
    return ExecuteProcess(
        cmd=[
            *("setsid", _executable("sim_robot"), "--ignore-interrupt"),
            *("--lower-after", str(_LOWER_AFTER_S), "--lift-after", str(_LIFT_AFTER_S)),
            *("--real-time-factor", str(settings.real_time_factor)),
        ],
        name="sim_robot",
        output="screen",
    )


def bridge(settings: Settings) -> ExecuteProcess:
    """Owner of the robot. A session of its own: a terminal's Ctrl-C reaches it only through launch, once."""
    options = ["--log", settings.read("event_log")] if settings.read("event_log") else []
    if settings.stall_allowance:
        options += ["--stall-allowance", str(settings.stall_allowance)]
    options += ["--real-time-factor", str(settings.real_time_factor)]
    return ExecuteProcess(
        cmd=["setsid", _executable("bridge"), "--network-interface", settings.interface, *options],
        name="bridge",
        output="screen",
    )


def g1_bridge(settings: Settings, **parameters: Any) -> LifecycleNode:
    """The node beside the bridge."""
    return _lifecycle_node("bm_g1_bridge", "g1_bridge", settings, parameters)


def policy(settings: Settings, **parameters: Any) -> LifecycleNode:
    """The policy node."""
    return _lifecycle_node(
        "bm_policy",
        "policy",
        settings,
        {
            "policy": settings.read("policy"),
            "provider": settings.read("provider"),
            "publish_reference": settings.has_ghost,
            "stall_allowance": settings.stall_allowance,
            "real_time_factor": settings.real_time_factor,
            **parameters,
        },
    )


def robot_and_nodes(settings: Settings, policy: LifecycleNode, *, accept_commands: bool = False) -> list[Action]:
    """Robot, bridge, its node, the policy, operator, displays, recording; and how one's end ends the others."""
    robot = [] if settings.is_hardware else [simulated_robot(settings)]
    owner = bridge(settings)
    node = g1_bridge(
        settings, accept_commands=accept_commands, publish_remote=settings.read("joystick") == UNITREE_REMOTE
    )
    return [
        *robot,
        owner,
        node,
        policy,
        *operator(settings),
        *displays(settings),
        *recorder(settings),
        ends_everything(owner, "the bridge"),
        ends_everything(policy, "the policy node"),
        ends_everything(node, "the bridge's node"),
        *(ends_everything(process, "the simulated robot") for process in robot),
        *(ends_after(owner, process) for process in robot),
    ]


def guidance(settings: Settings) -> list[Action]:
    """Goals of a guided policy."""
    parameters: dict[str, Any] = {
        "source": settings.read("guidance"),
        "joy_map": joy_map(settings) or "",
        "use_sim_time": settings.is_on("use_sim_time"),
    }
    if settings.read("waypoints"):
        parameters["waypoints"] = settings.numbers("waypoints")
    node = Node(package="bm_guidance", executable="guidance", parameters=[parameters], output="screen")
    return [node]


def displays(settings: Settings) -> list[Action]:
    """TF of the links always; RViz, Foxglove and the ghost if wanted."""
    use_sim_time = settings.is_on("use_sim_time")
    actions: list[Action] = [state_publisher(use_sim_time=use_sim_time)]
    if settings.has_ghost:
        actions.append(state_publisher(use_sim_time=use_sim_time, ghost=True))
    share = get_package_share_directory("bm_bringup")
    clock = [{"use_sim_time": use_sim_time}]
    if settings.has_rviz:
        arguments = ["-d", f"{share}/rviz/g1.rviz"]
        actions.append(Node(package="rviz2", executable="rviz2", arguments=arguments, parameters=clock))
    if settings.is_on("foxglove"):
        actions.append(Node(package="foxglove_bridge", executable="foxglove_bridge", parameters=clock))
    return actions


def recorder(settings: Settings) -> list[Action]:
    """rosbag2 with everything but pictures of the network."""
    if not settings.is_on("record"):
        return []
    command = ["ros2", "bag", "record", "--storage", "mcap", "--all", "--output", str(settings.bag)]
    return [ExecuteProcess(cmd=command, name="rosbag2", output="log")]


def ends_after(bridge: ExecuteProcess, robot: ExecuteProcess) -> RegisterEventHandler:
    """The simulated robot leaves last: for the bridge, an earlier end would be a robot that has fallen silent."""
    end = EmitEvent(event=SignalProcess(signal_number=signal.SIGTERM, process_matcher=matches_action(robot)))
    return RegisterEventHandler(OnProcessExit(target_action=bridge, on_exit=[end]))


def ends_everything(process: ExecuteProcess, what: str) -> RegisterEventHandler:
    """No respawn: what commands a robot must not come back by itself."""

    def on_exit(event: Any, context: Any) -> list[Action]:
        if context.is_shutdown:
            return []
        text = f"{what} has ended (code {event.returncode}); shutting down"
        return [LogInfo(msg=text), EmitEvent(event=Shutdown(reason=text))]

    return RegisterEventHandler(OnProcessExit(target_action=process, on_exit=on_exit))


def _executable(name: str) -> ExecutableInPackage:
    """`bm` runs in the interpreter that ran colcon, which need not be that of `ros2 launch`."""
    return ExecutableInPackage(name, "bm_g1_bridge")


def _lifecycle_node(package: str, name: str, settings: Settings, parameters: dict[str, Any]) -> LifecycleNode:
    common = {"interface": settings.interface, "use_sim_time": settings.is_on("use_sim_time")}
    return LifecycleNode(
        package=package,
        executable=name,
        name=name,
        namespace="",
        parameters=[{**common, **parameters}],
        output="screen",
    )


def operator(settings: Settings) -> list[Action]:
    """Gamepad to services and heartbeat."""
    chosen = joy_map(settings)
    if chosen is None:
        return []
    clock = {"use_sim_time": settings.is_on("use_sim_time")}
    parameters = [clock, {"joy_map": chosen}]
    node = Node(package="bm_guidance", executable="operator", parameters=parameters, output="screen")
    if settings.read("joystick") == UNITREE_REMOTE:  # its buttons come with every reading
        return [node]
    joy = Node(package="joy", executable="joy_node", parameters=[{"autorepeat_rate": 20.0}])
    return [joy, node]


def joy_map(settings: Settings) -> str | None:
    """The file with the buttons of the operator's gamepad; None without one."""
    pad = settings.read("joystick")
    return None if pad == "none" else f"{get_package_share_directory('bm_bringup')}/config/joy/{pad}.yaml"
