"""Shared by all tests. By lying here it also puts this folder on the path, for helpers such as squat_motion."""

from hypothesis import settings

# The same examples on every run: a failure that CI saw can be repeated anywhere.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("repeatable")
