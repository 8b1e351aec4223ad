"""A robot that is operated: requests of people and programs in, control steps out. What the ROS 2 nodes wrap."""
