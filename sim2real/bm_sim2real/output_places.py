"""Where a command is going to write, looked at before it works: minutes of simulation must not end at a typing error.

Options are known by their names, which mean the same in every command.
"""

from __future__ import annotations

from pathlib import Path

from bm_core.atomic_file import check_file_place, check_folder_place

FILES = ("json", "junit", "png", "plot", "record", "truth", "log")
"""Options that name a file to write."""
PLACES = ("out", "report", "run_dir")
"""Options that name a file in one command and a folder in another."""
SUFFIXES = frozenset({".npz", ".onnx", ".html", ".md", ".png", ".mp4", ".gif"})
"""What a PLACES option that names a file ends in."""


def check_output_places(command: object) -> None:
    """ConfigError with one line for the first option whose place cannot be written; leaves nothing behind."""
    for name in (*FILES, *PLACES):
        place = getattr(command, name, None)
        if not isinstance(place, Path):
            continue
        if name in FILES or place.suffix in SUFFIXES or place.is_file():
            check_file_place(place)
        else:
            check_folder_place(place)
