"""Robots behind one protocol: MuJoCo, a mock, and the Unitree G1."""
