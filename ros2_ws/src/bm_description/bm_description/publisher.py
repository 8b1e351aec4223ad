"""robot_state_publisher with the G1, as launch actions that other launch files use."""

from __future__ import annotations

from launch.substitutions import Command
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import ExecutableInPackage


def state_publisher(*, use_sim_time: bool, ghost: bool = False) -> Node:
    """Joint angles to TF. `ghost`: of the reference, from /reference/joint_states to frames below reference/."""
    # By its own executable, like xacro: the interpreter of `ros2 launch` need not be the one that has bm_core.
    urdf = Command([ExecutableInPackage("urdf", "bm_description")])
    parameters = {
        "robot_description": ParameterValue(urdf, value_type=str),
        "use_sim_time": use_sim_time,
        "publish_frequency": 30.0,
    }
    if ghost:
        parameters["frame_prefix"] = "reference/"
    return Node(
        package="robot_state_publisher",
        executable="robot_state_publisher",
        namespace="reference" if ghost else "",
        parameters=[parameters],
    )
