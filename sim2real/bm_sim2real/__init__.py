"""The runtime without ROS: robots, guard, policies, control loop, evaluation, CLI."""
