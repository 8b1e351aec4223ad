"""Shared by all tests. By lying here it also puts this folder on the path, for helpers such as squat_motion."""

from hypothesis import HealthCheck, settings

# The same examples on every run: a failure that CI saw can be repeated anywhere.
# Nothing is judged by the clock, the making of examples neither: a loaded machine stands still for a second at times.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")
