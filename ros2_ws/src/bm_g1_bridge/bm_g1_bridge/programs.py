"""`bm bridge` and `bm sim-robot` as executables of this package, in the interpreter that the nodes run in.

They import nothing of ROS: two builds of CycloneDDS in one process corrupt the heap.
"""

from __future__ import annotations

import sys

from bm_sim2real.cli import main


def bridge() -> None:
    """`ros2 run bm_g1_bridge bridge --network-interface eth0`"""
    sys.exit(main(["bridge", *sys.argv[1:]]))


def sim_robot() -> None:
    """`ros2 run bm_g1_bridge sim_robot`"""
    sys.exit(main(["sim-robot", *sys.argv[1:]]))
