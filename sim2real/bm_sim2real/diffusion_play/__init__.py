"""Guided diffusion live: one simulated robot that an operator or a script steers, with plan and obstacles drawn."""
