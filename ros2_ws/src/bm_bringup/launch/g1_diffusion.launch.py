"""A guided diffusion policy on the Unitree G1: walks where a gamepad or waypoints say."""

from ament_index_python.packages import get_package_share_directory
from bm_bringup import arguments, processes
from bm_bringup.arguments import argument, switch
from bm_bringup.settings import ArgumentError, Settings
from launch import LaunchDescription
from launch.actions import OpaqueFunction

ARGUMENTS = [
    *arguments.BACKEND,
    *arguments.POLICY,
    argument("planner", "", "Diffusion bundle (.onnx); empty: the shipped g1_diffusion.onnx."),
    argument("planner_provider", "cpu", "Execution provider of the planner.", ["cpu", "cuda", "tensorrt"]),
    argument("plan_latency_steps", "2", "Control steps (20 ms) that a plan is expected to take."),
    argument("guidance", "joystick", "Where goals come from.", ["joystick", "waypoints"]),
    argument("waypoints", "", "x1,y1,x2,y2,... in m (odom) to begin with; later ones by /waypoints or /goal_pose."),
    switch("start_paused", "false", "Simulation: stand, and follow no goals before /set_mode running."),
    *arguments.OPERATOR,
    *arguments.RECORD,
    *arguments.DISPLAY,
]


def start(context):
    settings = Settings.of(context)
    planner = settings.read("planner")
    if not planner:
        planner = f"{get_package_share_directory('bm_bringup')}/policies/g1_diffusion.onnx"
    if not settings.read("plan_latency_steps").isdigit():
        raise ArgumentError(f"plan_latency_steps:={settings.read('plan_latency_steps')}: a whole number expected")
    goes_alone = "stand" if settings.is_on("start_paused") else "play"
    policy = processes.policy(
        settings,
        planner=planner,
        planner_provider=settings.read("planner_provider"),
        plan_latency_steps=int(settings.read("plan_latency_steps")),
        start="manual" if settings.is_hardware else goes_alone,
    )
    return [*processes.robot_and_nodes(settings, policy), *processes.guidance(settings)]


def generate_launch_description():
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
