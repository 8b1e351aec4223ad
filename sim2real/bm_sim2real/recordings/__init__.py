"""Recorded control steps, from our own logs and from bags of ROS 2, compared with the policy that made them."""
