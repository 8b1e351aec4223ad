"""What the ROS 2 nodes need that is not ROS: message fields filled and read by name, diagnostics, the ghost."""
