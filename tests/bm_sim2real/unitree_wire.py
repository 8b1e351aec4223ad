"""What every test over DDS needs first: the extra, and a tag that keeps workers beside us out of our domain."""

import os

import pytest

pytest.importorskip("cyclonedds", reason="the hardware extra is not installed (x86-64 only)")
os.environ.setdefault("BM_DDS_TAG", f"test-{os.getpid()}")

from bm_sim2real.robots.unitree.lockstep import LockstepUnitree as WiredRobot  # noqa: E402, F401
