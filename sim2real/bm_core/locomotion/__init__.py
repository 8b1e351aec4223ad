"""Walking references from velocity commands: footsteps, CoM by preview, leg IK. NumPy only: also runs on the robot."""
