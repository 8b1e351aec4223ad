"""The Unitree G1 over its own DDS protocol (unitree_hg): messages, link, robot, and a simulated one to talk to."""
