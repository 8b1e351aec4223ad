"""Where the pelvis is and how fast it moves, from what the robot itself has: IMU, encoders, motor torques."""
