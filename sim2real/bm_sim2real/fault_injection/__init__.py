"""Faults that are put in on purpose, and whether the guard does what docs/safety.md says. Same code, two transports."""
