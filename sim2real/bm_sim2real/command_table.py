"""The commands of `bm`: entry points of the group bm.commands, found and described without importing any of them."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

GROUP = "bm.commands"

SECTIONS: dict[str, tuple[str, ...]] = {
    "See it": ("demo", "view", "replay", "play-diffusion"),
    "Judge": ("eval", "check", "diff", "regress", "bench", "faults", "fuzz", "soak"),
    "Run": ("run", "bridge", "sim-robot"),
    "Motions": ("motion",),
    "Train and export": ("train", "collect", "export"),
}
"""Order of `bm --help`, by the first word of a command; a command that no section names goes under OTHER."""
OTHER = "Other"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One registered command; its module is imported by load() and not before."""

    words: tuple[str, ...]
    """What the user types after `bm`, such as ("motion", "convert")."""
    target: str
    """module:Class of the dataclass that tyro parses and that is then called."""

    @property
    def name(self) -> str:
        return " ".join(self.words)

    @property
    def section(self) -> str:
        return next((title for title, names in SECTIONS.items() if self.words[0] in names), OTHER)

    def load(self) -> Any:
        """The command's class; imports its module. Raises ImportError or AttributeError if there is none."""
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)

    def summary(self) -> str:
        """First sentence of the class's docstring, read from its source; empty if the source cannot be found."""
        module, _, attribute = self.target.partition(":")
        source = _source_of(module)
        return _first_docstring_sentence(source, attribute) if source else ""


def find_commands() -> list[Command]:
    """Every registered command in the order of `bm --help`: by section, inside it as registered by name."""
    entry_points = metadata.entry_points(group=GROUP)
    commands = [Command(words=tuple(point.name.split(".")), target=point.value) for point in entry_points]
    return sorted(commands, key=_help_order)


def _help_order(command: Command) -> tuple[int, int, str]:
    sections = list(SECTIONS)
    if command.section == OTHER:
        return len(sections), 0, command.name
    place = SECTIONS[command.section].index(command.words[0])
    return sections.index(command.section), place, command.name


def _source_of(module: str) -> Path | None:
    """Source file of a dotted module. find_spec on the whole name would import its parent packages, so walk down."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.submodule_search_locations is None:
        return Path(spec.origin) if spec and spec.origin and not rest else None
    for location in spec.submodule_search_locations:
        base = Path(location).joinpath(*rest)
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def _first_docstring_sentence(source: Path, class_name: str) -> str:
    try:
        tree = ast.parse(source.read_bytes())
    except (OSError, SyntaxError):  # a broken command must not take the help of all others with it
        return ""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            paragraph = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
            sentence, stop, _ = paragraph.partition(". ")
            return sentence + stop.strip()
    return ""
