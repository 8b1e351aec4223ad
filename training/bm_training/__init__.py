"""Motions, samplers, the Isaac Lab tracking task and diffusion training."""
