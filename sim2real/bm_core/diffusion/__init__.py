"""Guided diffusion, the part that training and runtime share: state, tokens, scaling, noise schedule, sampler."""
