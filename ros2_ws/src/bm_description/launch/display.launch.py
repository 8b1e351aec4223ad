"""Shows the G1 in RViz, with sliders for its joints."""

from bm_description.publisher import state_publisher
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument("sliders", default_value="true", description="A slider for each joint."),
            DeclareLaunchArgument("rviz", default_value="true", description="RViz; add a RobotModel display."),
            state_publisher(use_sim_time=False),
            Node(
                package="joint_state_publisher_gui",
                executable="joint_state_publisher_gui",
                condition=IfCondition(LaunchConfiguration("sliders")),
            ),
            Node(package="rviz2", executable="rviz2", condition=IfCondition(LaunchConfiguration("rviz"))),
        ]
    )
