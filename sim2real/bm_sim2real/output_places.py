"""Where a command is going to write, looked at before it works: minutes of simulation must not end at a typing error.

Options are known by their names, which mean the same in every command; what is given without a name is read.
"""

from __future__ import annotations

import dataclasses

from bm_core.atomic_file import check_file_place, check_folder_place
from bm_core.errors import ConfigError

FILES = ("json", "fit_set", "junit", "png", "plot", "record", "truth", "log")
"""Options that name a file to write."""
PLACES = ("out", "report", "run_dir")
"""Options that name a file in one command and a folder in another."""
SUFFIXES = frozenset({".npz", ".onnx", ".html", ".md", ".png", ".mp4", ".gif"})
"""What a PLACES option that names a file ends in."""


def output_options(command: type) -> list[str]:
    """Names of the fields by which a command, a dataclass, is told where to write."""
    fields = {field.name: str(field.type) for field in dataclasses.fields(command)}
    return [
        name
        for name in (*FILES, *PLACES)
        if "Path" in fields.get(name, "") and "Positional" not in fields.get(name, "")
    ]


def check_output_places(command: object) -> None:
    """ConfigError with one line for the first option whose place cannot be written; leaves nothing behind."""
    for name in output_options(type(command)):
        place = getattr(command, name)
        if place is None:
            continue
        is_file = name in FILES or place.suffix in SUFFIXES or (name == "out" and place.is_file())
        try:
            check_file_place(place) if is_file else check_folder_place(place)
        except ConfigError as error:
            raise ConfigError(f"--{name.replace('_', '-')} {error}") from error
