"""Real-time priority and locked memory, where the system permits them."""

from __future__ import annotations

import ctypes
import os

_MCL_CURRENT_AND_FUTURE = 3


def make_realtime(priority: int) -> str:
    """SCHED_FIFO for this thread and those that it starts, mlockall; says in words what was granted, never raises.

    To be called before DDS starts its threads: a receiver without priority starves beside a loop that has it.
    """
    granted = []
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        granted.append(f"SCHED_FIFO {priority}")
    except (OSError, AttributeError) as error:
        granted.append(f"no real-time priority ({error})")
    try:
        is_locked = ctypes.CDLL(None, use_errno=True).mlockall(_MCL_CURRENT_AND_FUTURE) == 0
    except (OSError, AttributeError):  # not this C library
        is_locked = False
    granted.append("memory locked" if is_locked else "memory not locked")
    return ", ".join(granted)
