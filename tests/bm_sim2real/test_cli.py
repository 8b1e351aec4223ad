"""`bm`: which command runs, what every failure prints, the exit code. Commands are registered as a wheel does it."""

import os
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from bm_sim2real.cli import EXTRA_OF_MODULE, main

COMMANDS = '''
"""Stand-ins for commands; importing this module counts."""
import dataclasses
import sys
import tyro
from bm_core.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Greet:
    """Say a word once
    or more. Exit 0."""

    word: tyro.conf.Positional[str]
    """What to say."""
    times: int = 1
    """How often."""

    def __post_init__(self):
        if self.times < 1:
            raise ConfigError(f"times = {self.times}: must be >= 1; default 1")

    def __call__(self) -> int:
        print(" ".join([self.word] * self.times))
        return 0


class Plain:
    """Base of the commands without options."""


@dataclasses.dataclass(frozen=True)
class Lose(Plain):
    """Measure, and fail."""

    def __call__(self) -> int:
        return 1


@dataclasses.dataclass(frozen=True)
class Interrupt(Plain):
    """Stop in the middle."""

    def __call__(self) -> int:
        raise KeyboardInterrupt


@dataclasses.dataclass(frozen=True)
class Torch(Plain):
    """Needs what only the extra train brings."""

    def __call__(self) -> int:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")


@dataclasses.dataclass(frozen=True)
class Viser(Plain):
    """Needs what only the extra view brings."""

    def __call__(self) -> int:
        raise ModuleNotFoundError("No module named 'viser'", name="viser")


@dataclasses.dataclass(frozen=True)
class Bug(Plain):
    """Divides by zero."""

    def __call__(self) -> int:
        return 1 // 0
'''
ENTRY_POINTS = """[bm.commands]
greet = bm_fake_commands:Greet
eval.greet = bm_fake_commands:Greet
eval.lose = bm_fake_commands:Lose
zz-interrupt = bm_fake_commands:Interrupt
zz-torch = bm_fake_commands:Torch
zz-viser = bm_fake_commands:Viser
zz-bug = bm_fake_commands:Bug
zz-broken = bm_fake_missing:Nothing
"""


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """Only the stand-ins are registered, through a real dist-info folder on the path."""
    folder = tmp_path / "bm_fake-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: bm-fake\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "bm_fake_commands.py").write_text(COMMANDS)
    monkeypatch.syspath_prepend(tmp_path)
    registered_points = metadata.entry_points

    def only_the_stand_ins(**selection):
        return [point for point in registered_points(**selection) if point.dist.name == "bm-fake"]

    monkeypatch.setattr(metadata, "entry_points", only_the_stand_ins)
    yield tmp_path
    sys.modules.pop("bm_fake_commands", None)


def one_line_error(capsys) -> str:
    """The single line on stderr; fails if there was more, or anything on stdout."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.rstrip("\n")


def test_command_gets_its_arguments_and_its_code_is_returned(registered, capsys):
    assert main(["greet", "hello", "--times", "2"]) == 0
    assert capsys.readouterr().out == "hello hello\n"


def test_two_words_name_a_sub_verb(registered, capsys):
    assert main(["eval", "greet", "hello"]) == 0
    assert capsys.readouterr().out == "hello\n"


def test_measured_but_failed_is_1(registered):
    assert main(["eval", "lose"]) == 1


def test_help_lists_every_command_by_section_with_one_sentence(registered, capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  greet         Say a word once or more." in lines
    assert lines.index("Judge:") < lines.index("  eval lose     Measure, and fail.") < lines.index("Other:")


def test_help_does_not_import_the_commands(registered, capsys):
    main(["--help"])
    assert "bm_fake_commands" not in sys.modules


def test_help_survives_a_command_whose_module_is_gone(registered, capsys):
    main(["--help"])
    assert "  zz-broken" in capsys.readouterr().out.splitlines()


def test_help_of_a_family_lists_its_sub_verbs_only(registered, capsys):
    assert main(["eval", "--help"]) == 0
    out = capsys.readouterr().out
    assert "eval greet" in out
    assert "zz-bug" not in out


def test_help_of_a_command_shows_its_options(registered, capsys):
    assert main(["greet", "--help"]) == 0
    out = capsys.readouterr().out
    assert "usage: bm greet" in out
    assert "How often." in out


@pytest.mark.parametrize("words", [[], ["eval"]])
def test_no_command_prints_the_list_on_stderr_and_is_2(registered, capsys, words):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "eval greet" in captured.err


@pytest.mark.parametrize(
    "words, line",
    [
        (["gret", "hello"], "error: no command `gret`; did you mean `bm greet`?"),
        (["eval", "los"], "error: no command `eval los`; did you mean `bm eval lose`?"),
        (["evl", "lose"], "error: no command `evl`; did you mean `bm eval lose`?"),
        (["qqqqq"], "error: no command `qqqqq`; `bm --help` lists them all"),
        (["eval", "qqqqq"], "error: no command `eval qqqqq`; `bm eval --help` lists them all"),
    ],
)
def test_unknown_command_is_one_line_with_the_closest_and_2(registered, capsys, words, line):
    assert main(words) == 2
    assert one_line_error(capsys) == line


@pytest.mark.parametrize("words", [["greet"], ["greet", "a", "--tims", "2"], ["greet", "a", "--times", "many"]])
def test_wrong_arguments_are_2_and_run_nothing(registered, capsys, words):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "bm greet" in captured.err


def test_error_of_ours_is_one_line_and_2(registered, capsys):
    assert main(["greet", "a", "--times", "0"]) == 2
    assert one_line_error(capsys) == "error: times = 0: must be >= 1; default 1"


@pytest.mark.parametrize(
    "words", [["--debug", "greet", "a", "--times", "0"], ["greet", "a", "--times", "0", "--debug"]]
)
def test_debug_shows_the_traceback_before_the_line(registered, capsys, words):
    assert main(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "error: times = 0: must be >= 1; default 1"


@pytest.mark.parametrize(
    "command, module, remedy",
    [("zz-torch", "torch", "the extra train: `make install-train`"), ("zz-viser", "viser", "pip install -e '.[view]'")],
)
def test_missing_extra_is_one_line_that_names_it(registered, capsys, command, module, remedy):
    assert main([command]) == 2
    line = one_line_error(capsys)
    assert f"needs {module}," in line
    assert remedy in line


@pytest.mark.parametrize("command, cause", [("zz-bug", "ZeroDivisionError"), ("zz-broken", "bm_fake_missing")])
def test_bug_shows_its_traceback_and_is_not_taken_for_a_failed_measurement(registered, capsys, command, cause):
    assert main([command]) == 2
    err = capsys.readouterr().err
    assert cause in err
    assert err.splitlines()[-1].startswith("error: this is a bug")


def test_interrupt_is_one_line_and_130(registered, capsys):
    assert main(["zz-interrupt"]) == 130
    assert one_line_error(capsys) == "interrupted"


def test_version_is_that_of_the_distribution(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith(metadata.version("beyondmimic-g1"))


def test_reader_that_stops_early_causes_no_traceback(registered):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from bm_sim2real.cli import main\n"
        "sys.exit(main(['greet', 'x' * 100000, '--times', '100']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(registered)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), stderr) == (128 + signal.SIGPIPE, b"")


def test_installed_script_runs():
    script = Path(sys.executable).with_name("bm")
    answer = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("usage: bm COMMAND")


def test_every_extra_that_an_error_names_exists():
    assert set(EXTRA_OF_MODULE.values()) <= set(metadata.metadata("beyondmimic-g1").get_all("Provides-Extra"))


@pytest.mark.parametrize("point", metadata.entry_points(group="bm.commands"), ids=lambda point: point.name)
def test_every_registered_command_has_a_summary(point):
    from bm_sim2real.command_table import find_commands

    summaries = {".".join(command.words): command.summary() for command in find_commands()}
    assert summaries[point.name].endswith(".")


def test_mujoco_starts_no_process_where_it_is_imported():
    """GLFW's import asks a Python of its own, whose traceback Ctrl-C would show."""
    code = """
import sys
from bm_sim2real.cli import main
main(["--version"])
begun = []
sys.addaudithook(lambda event, arguments: begun.append(arguments) if event == "subprocess.Popen" else None)
import mujoco
assert not begun, begun
"""
    environment = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
