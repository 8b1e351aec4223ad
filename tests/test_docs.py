"""What the documentation prints can be typed: every `bm` line parses, every link leads somewhere, pages are current."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tyro

from bm_sim2real.cli import main
from bm_sim2real.command_page import commands_page, options_of
from bm_sim2real.command_table import find_commands
from bm_sim2real.regress.scenario_file import read_scenario_file

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "policies").glob("*.md")),
    *sorted((ROOT / "motions").glob("*.md")),
    *sorted((ROOT / "ros2_ws" / "src").rglob("*.md")),
]
COMMANDS = {command.words: command for command in find_commands()}
SHELL = re.compile(r"[|;&<>]|\.\.\.|…|\[")
"""Where the command ends, or where the line is a pattern and no command."""


def code_of(text):
    """Lines of code blocks, continued ones joined, and inline code."""
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return lines + re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def bm_lines():
    """(page, line, whether it must be complete): in a code block, in the README and in the guide it must."""
    found = set()
    for page in PAGES:
        text = page.read_text()
        blocks = set(code_of(text)) - set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)))
        for line in code_of(text):
            is_whole = (
                line in blocks or page.name in ("README.md", "guide.md") and page.parent.name in (ROOT.name, "docs")
            )
            line = line.strip().removeprefix("$ ").partition(" #")[0].strip()
            line = re.sub(r"^(\S*/)?bin/bm ", "bm ", line)
            if line.startswith("bm ") and not SHELL.search(line):
                found.add((page.relative_to(ROOT).as_posix(), " ".join(line.split()), is_whole))
    return sorted(found)


def command_of(words):
    for length in (2, 1):
        if tuple(words[:length]) in COMMANDS:
            return COMMANDS[tuple(words[:length])], words[length:]
    return None, words


@pytest.mark.parametrize("page, line, is_whole", bm_lines(), ids=lambda value: str(value)[:60])
def test_every_printed_command_parses(page, line, is_whole, capsys):
    words = shlex.split(line.removeprefix("bm "))
    command, arguments = command_of(words)
    if command is None:
        families = {known[0] for known in COMMANDS}
        is_bare = words[0].startswith("--") or words[0].isupper() or words[0] in families and len(words) == 1
        assert is_bare, f"{page}: no command `{line}`"
        return
    if not arguments or "--help" in arguments:
        return  # named, not shown: what it needs stands in the text
    pytest.importorskip(command.target.partition(".")[0])
    named = [word for word in arguments if word.startswith("--")]
    if arguments == named or arguments[0].isupper():  # an option is talked about, or the line shows placeholders
        known = {option.flag for option in options_of(command.load())}
        if all(word.isupper() or word.replace("--no-", "--") in known for word in arguments):
            return
    try:
        tyro.cli(command.load(), args=arguments, prog=f"bm {command.name}")
    except SystemExit as stop:
        printed = capsys.readouterr()
        if not is_whole and "Missing from" in printed.err:
            return  # one option is talked about
        assert not stop.code, f"{page}: `{line}`\n{printed.err[-800:]}"


def test_some_lines_were_found():
    assert len(bm_lines()) > 60


def test_command_reference_is_current():
    assert (ROOT / "docs" / "commands.md").read_text() == commands_page(), "run: make docs"


def test_command_reference_shows_nothing_of_the_parser():
    assert "tyro" not in commands_page()
    retarget = commands_page().partition("### bm motion retarget\n")[2].partition("### ")[0]
    assert "| `SOURCE` | `str` |" in retarget, "typed without a flag"


@dataclass
class Base:
    out_file: Path | None = None
    """Where to."""


@dataclass
class Example(Base):
    n: int = 3
    inputs: tuple[str, ...] = field(default_factory=tuple)
    """What from."""


def test_command_reference_takes_flags_defaults_and_texts_from_the_source():
    first, second, third = options_of(Example)
    assert (first.flag, first.kind, first.default, first.about) == ("--out-file", "Path", "", "Where to.")
    assert (second.flag, second.default, second.about) == ("--n", "3", "")
    assert (third.default, third.about) == ("tuple", "What from.")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_scenario_in_the_guide_is_valid_as_printed(tmp_path):
    text = (ROOT / "docs" / "regression.md").read_text()
    block = re.search(r"```yaml\n(scenarios:.*?)```", text, re.DOTALL).group(1)
    assert len(block.strip().splitlines()) == 5
    file = tmp_path / "mine.yaml"
    file.write_text(block)
    (tmp_path / "mine.onnx").write_bytes((ROOT / "policies" / "g1_tracker.onnx").read_bytes())
    (scenario,) = read_scenario_file(file)
    assert scenario.policy == (tmp_path / "mine.onnx").resolve()
    assert {gate.metric for gate in scenario.gates} == {"completed", "falls", "body_error_mm"}


def test_bm_help_names_every_page_of_commands(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    page = (ROOT / "docs" / "commands.md").read_text()
    assert [name for name in re.findall(r"^### bm (.+)$", page, re.MULTILINE) if f"  {name} " not in printed] == []
