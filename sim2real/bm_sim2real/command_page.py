"""docs/commands.md, made from the commands' own source: every command, option, default and what it means.

Run: make docs
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

from bm_core.atomic_file import atomic_write_text
from bm_sim2real.command_table import Command, find_commands

_HEAD = """# Commands

Generated from the code by `make docs`; a test keeps it current. `bm COMMAND --help` says the same in the terminal.

Exit codes of all commands: 0 passed, 1 measured and failed, 2 could not run (one line says why and what to do), 130
interrupted (Ctrl-C), 143 terminated (SIGTERM). What runs until it is told to end (`bm view`, `bridge`, `sim-robot`,
training) ends with 0. `--debug` with any command shows the traceback behind that line.

Files appear whole or not at all, and an older file stays until the new one is there. Whether the place of a result can
be written is looked at before the work; if writing fails all the same, the result of a measurement is kept among the
temporary files, and the line says where.
"""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One field of a command's dataclass, as its source has it."""

    flag: str
    kind: str
    default: str
    about: str


def commands_page() -> str:
    """The whole page."""
    parts, section = [_HEAD], ""
    for command in find_commands():
        if command.section != section:
            section = command.section
            parts.append(f"## {section}\n")
        parts.append(_entry(command))
    return "\n".join(parts)


def options_of(cls: type, prefix: str = "") -> list[Option]:
    """Options of a command's class in the order of its dataclass: those of its bases first, groups taken apart."""
    options: dict[str, list[Option]] = {}
    types = get_type_hints(cls, include_extras=True)
    for base in reversed(cls.__mro__[:-1]):
        node = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(node, ast.ClassDef)
        for name, option in _options(node, prefix):
            kind, *extras = get_args(types[name]) if get_origin(types[name]) is Annotated else (types[name],)
            if dataclasses.is_dataclass(kind) and isinstance(kind, type):
                is_flat = any(getattr(extra, "name", None) == "" for extra in extras)
                options[name] = options_of(kind, prefix if is_flat else f"{option.flag[2:]}.")
            else:
                options[name] = [option]
    return [option for group in options.values() for option in group]


def _entry(command: Command) -> str:
    cls = command.load()
    options = options_of(cls)
    lines = [f"### bm {command.name}", "", inspect.getdoc(cls) or "", ""]
    if options:
        lines += ["| option | type | default | |", "|---|---|---|---|"]
        lines += [f"| `{one.flag}` | {_code(one.kind)} | {_code(one.default)} | {one.about} |" for one in options]
        lines.append("")
    return "\n".join(lines)


def _options(node: ast.ClassDef, prefix: str) -> Iterator[tuple[str, Option]]:
    for field, below in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        kind = ast.unparse(field.annotation)
        name = field.target.id.replace("_", "-")
        is_positional = "tyro.conf.Positional" in kind
        yield (
            field.target.id,
            Option(
                flag=name.upper() if is_positional else f"--{prefix}{name}",
                kind=_readable(kind),
                default="" if field.value is None else _default(field.value),
                about=_docstring(below),
            ),
        )


def _readable(kind: str) -> str:
    """Without what only the parser needs, and without bars, which would end a table's cell."""
    if kind.startswith("Annotated["):
        kind = kind.removeprefix("Annotated[").partition(", tyro.conf.")[0]
    elif kind.startswith("tyro.conf.Positional["):
        kind = kind.removeprefix("tyro.conf.Positional[").removesuffix("]")
    return kind.removesuffix(" | None").replace(" | ", " or ")


def _default(value: ast.expr) -> str:
    """As it would be typed, or as it stands in the source; nothing where the option may be left away."""
    text = ast.unparse(value)
    if text == "None":
        return ""
    if isinstance(value, ast.Constant):
        return str(value.value)
    return text.removeprefix("field(default_factory=").removesuffix(")") if text.startswith("field(") else text


def _docstring(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split()).replace("|", "\\|")
    return ""


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


if __name__ == "__main__":
    atomic_write_text(Path(sys.argv[1]), commands_page())
