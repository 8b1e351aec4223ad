"""What training and robot must agree on: constants, rotations, kinematics, clips, observations, bundles. NumPy only."""
