"""Guided diffusion, training side: data set, model, training."""
