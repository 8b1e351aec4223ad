"""Shared by all tests. By lying here it also puts this folder on the path, for helpers such as squat_motion."""

import os

from hypothesis import HealthCheck, settings

# Each test process talks on loopback by itself. Set once: DDS keeps a process's first configuration for its whole life,
# and commands that are tried in it would otherwise choose a tag of their own.
os.environ["BM_DDS_TAG"] = f"test-{os.getpid()}"

# The same examples on every run: a failure that CI saw can be repeated anywhere.
# Nothing is judged by the clock, the making of examples neither: a loaded machine stands still for a second at times.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")
