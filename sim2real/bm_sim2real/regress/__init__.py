"""Sim-in-the-loop regression: scenarios, gates, baselines, and controls that must fail."""
