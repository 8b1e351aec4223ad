"""Faults that are put in on purpose, and whether the guard does what DESIGN's table says. Same code, two transports."""
