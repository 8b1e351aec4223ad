"""`ros2 run bm_description urdf [FILE]`: the G1's URDF, for tools that want a file."""

from __future__ import annotations

import sys
from pathlib import Path

from bm_core.atomic_file import atomic_write_text
from bm_core.urdf import g1_urdf


def main() -> None:
    """Writes FILE, or to the terminal without one."""
    arguments = sys.argv[1:]
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        sys.exit("usage: urdf [FILE]")
    if arguments:
        atomic_write_text(Path(arguments[0]), g1_urdf())
    else:
        sys.stdout.write(g1_urdf())
