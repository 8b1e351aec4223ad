"""Shared by all tests. By lying here it also puts this folder on the path, for helpers such as squat_motion."""

import os
import signal

from hypothesis import HealthCheck, settings

# Each test process talks on loopback by itself. Set once: DDS keeps a process's first configuration for its whole life,
# and commands that are tried in it would otherwise choose a tag of their own.
os.environ["BM_DDS_TAG"] = f"test-{os.getpid()}"

# A shell starts what runs in the background with Ctrl-C ignored, and so would be every command that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every run: a failure that CI saw can be repeated anywhere.
# Nothing is judged by the clock, the making of examples neither: a loaded machine stands still for a second at times.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")
