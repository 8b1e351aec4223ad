"""The README promises only what is there: every command, make target and file that it names exists."""

import re
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMANDS = {tuple(point.name.split(".")) for point in metadata.entry_points(group="bm.commands")}


def is_command(line: str) -> bool:
    """Whether `bm WORDS...` begins with a registered command, or is a bare option such as `bm --help`."""
    words = tuple(line.split()[1:])
    return words[0].startswith("-") or any(words[:length] in COMMANDS for length in (1, 2))


def test_readme_names_the_two_commands_that_do_everything():
    assert "make demo" in README
    assert "make test" in README


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`(bm [^`]+)`", README))))
def test_every_bm_command_is_registered(line):
    assert is_command(line), f"`{line}` is in the README, but no such command is registered (make install?)"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z-]+)(?=`| +#)", README))))
def test_every_make_target_exists(target):
    assert target in TARGETS


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:)([^)]+)\)", README))))
def test_every_linked_file_exists(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("folder", re.findall(r"`([a-z0-9_/]+)`", README.partition("## Layout")[2].partition("##")[0]))
def test_every_folder_of_the_layout_exists(folder):
    assert (ROOT / folder).is_dir()
