"""A tracker on the Unitree G1: simulated and walking by itself, or real and waiting for its operator."""

from bm_bringup import arguments, processes
from bm_bringup.arguments import argument, switch
from bm_bringup.settings import Settings
from launch import LaunchDescription
from launch.actions import OpaqueFunction

ARGUMENTS = [
    *arguments.BACKEND,
    *arguments.POLICY,
    argument("motion", "walk_loop", "Motion to begin with: a name from the motion set, or a motion file."),
    argument("motion_set", "", "Motions to choose from: name or YAML of a motion set; empty: the shipped clips."),
    argument("motion_root", "", "Folder that stands for ${MOTIONS} in the motion set."),
    switch("start_paused", "false", "Simulation: stand, and wait for /set_mode or /policy/play_motion."),
    switch("repeat", "true", "Simulation: play the motion again and again."),
    argument(
        "transport",
        "mailbox",
        "From policy to bridge. mailbox: shared memory, untouched by ROS. topic: /joint_command, for a policy on "
        "another computer.",
        ["mailbox", "topic"],
    ),
    *arguments.OPERATOR,
    *arguments.RECORD,
    *arguments.DISPLAY,
]


def start(context):
    settings = Settings.of(context)
    goes_alone = "stand" if settings.is_on("start_paused") else "play"
    policy = processes.policy(
        settings,
        motion=settings.read("motion"),
        motion_set=settings.read("motion_set"),
        motion_root=settings.read("motion_root"),
        transport=settings.read("transport"),
        start="manual" if settings.is_hardware else goes_alone,
        repeat=settings.is_on("repeat") and not settings.is_hardware,
    )
    return processes.robot_and_nodes(settings, policy, accept_commands=settings.read("transport") == "topic")


def generate_launch_description():
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
