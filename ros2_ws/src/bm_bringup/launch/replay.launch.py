"""Shows a recording: robot, reference and plan of a bag in RViz or Foxglove. `bm replay BAG` compares its numbers."""

from ament_index_python.packages import get_package_share_directory
from bm_bringup.arguments import argument, switch
from bm_description.publisher import state_publisher
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, ExecuteProcess, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

ARGUMENTS = [
    DeclareLaunchArgument("bag", description="Folder of the recording."),
    argument("rate", "1.0", "Speed of the replay."),
    switch("loop", "false", "Begin again at the end."),
    switch("rviz", "true", "Start RViz."),
    switch("foxglove", "false", "Start foxglove_bridge (layout: share/bm_bringup/foxglove/g1.json)."),
]


def start(context):
    def read(name):
        return LaunchConfiguration(name).perform(context)

    # Without what is computed here again: link poses. /clock is the recording's time, not the robot's.
    command = ["ros2", "bag", "play", read("bag"), "--rate", read("rate"), "--clock", "100"]
    command += ["--loop"] if read("loop") == "true" else []
    player = ExecuteProcess(cmd=command, name="rosbag2", output="screen")
    actions = [player, state_publisher(use_sim_time=True), state_publisher(use_sim_time=True, ghost=True)]
    layout = f"{get_package_share_directory('bm_bringup')}/rviz/g1.rviz"
    clock = [{"use_sim_time": True}]
    if read("rviz") == "true":
        actions.append(Node(package="rviz2", executable="rviz2", arguments=["-d", layout], parameters=clock))
    if read("foxglove") == "true":
        actions.append(Node(package="foxglove_bridge", executable="foxglove_bridge", parameters=clock))
    ended = EmitEvent(event=Shutdown(reason="the recording has ended"))
    return [*actions, RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[ended]))]


def generate_launch_description():
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
