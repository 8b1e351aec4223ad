"""`bm`: finds the command, lets tyro parse its arguments, calls it, and turns every failure into one line and a code.

Exit codes: 0 passed, 1 measured but failed, 2 could not run, 130 interrupted (Ctrl-C), 143 terminated (SIGTERM).
"""

from __future__ import annotations

import difflib
import itertools
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from bm_core.atomic_file import CANNOT_WRITE, NO_ROOM
from bm_core.errors import BmError
from bm_sim2real.command_table import Command, find_commands
from bm_sim2real.process_signals import TERMINATED, Terminated, signals_raise

COULD_NOT_RUN = 2
INTERRUPTED = 130
BROKEN_PIPE = 141
"""128 + SIGINT and 128 + SIGPIPE, what a shell expects."""

EXTRA_OF_MODULE = {
    "mujoco": "sim",
    "mink": "sim",
    "daqp": "sim",
    "scipy": "sim",
    "matplotlib": "sim",
    "imageio": "sim",
    "imageio_ffmpeg": "sim",
    "PIL": "sim",
    "h5py": "sim",
    "onnxruntime": "onnx",
    "onnx": "onnx",
    "viser": "view",
    "trimesh": "view",
    "cyclonedds": "hardware",
    "unitree_sdk2py": "hardware",
    "isaaclab": "train",
    "isaaclab_newton": "train",
    "isaaclab_ov": "train",
    "isaaclab_physx": "train",
    "isaaclab_rl": "train",
    "isaaclab_tasks": "train",
    "newton": "train",
    "mujoco_warp": "train",
    "warp": "train",
    "torch": "train",
    "tensordict": "train",
    "tensorboard": "train",
    "rsl_rl": "train",
    "pxr": "train",
}
"""Which extra of this distribution brings an importable module."""

USAGE = """usage: bm COMMAND [OPTIONS]     bm COMMAND --help shows the options

  --help, -h    this text
  --version     version, with the commit in a git checkout
  --debug       with any command: show the traceback behind a one-line error"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: sys.argv) and return its exit code."""
    # Else MuJoCo imports a window library, which starts a Python of its own and waits for it. Pictures are drawn by
    # rendering.py in contexts that it makes itself.
    os.environ.setdefault("MUJOCO_GL", "disable")
    words, is_debug = _without_debug(list(sys.argv[1:] if argv is None else argv))
    return guarded(lambda: _dispatch(words), is_debug=is_debug)


def guarded(run: Callable[[], int], *, is_debug: bool = False) -> int:
    """Exit code of `run`, or of what ended it, which is told in one line on stderr."""
    try:
        with signals_raise():
            code = run()
            _flush_stdout()
            return code
    except Terminated:
        return _fail("terminated", TERMINATED, is_debug)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED, is_debug)
    except BrokenPipeError:  # `bm motion list | head`: the reader has enough
        _close_stdout()
        return BROKEN_PIPE
    except BmError as error:
        return _fail(f"error: {error}", COULD_NOT_RUN, is_debug)
    except ModuleNotFoundError as error:
        if error.name not in EXTRA_OF_MODULE:
            return _report_bug()
        return _fail(f"error: {_missing(error.name)}", COULD_NOT_RUN, is_debug)
    except OSError as error:  # what writes a result has said it better; left are temporary files, logs and stdout
        if (line := _about_the_disk(error)) is None:
            return _report_bug()
        return _fail(f"error: {line}", COULD_NOT_RUN, is_debug)
    except Exception:
        return _report_bug()


def _dispatch(words: list[str]) -> int:
    if words and words[0] == "--version":
        from bm_sim2real.result_json import version

        print(version())
        return 0
    commands = find_commands()
    names = list(itertools.takewhile(lambda word: not word.startswith("-"), words))
    command = _longest_match(commands, names)
    if command is not None:
        return _call(command, words[len(command.words) :])
    family = [command for command in commands if names and command.words[0] == names[0]]
    wants_help = bool({"-h", "--help"} & set(words[len(names) :]))
    is_family_alone = bool(family) and len(names) == 1
    if names and not is_family_alone:
        raise BmError(_unknown(names, commands, family))
    print(_help(family or commands, is_family_alone), file=sys.stdout if wants_help else sys.stderr)
    return 0 if wants_help else COULD_NOT_RUN


def _longest_match(commands: list[Command], names: list[str]) -> Command | None:
    """The command that takes most of the leading words: `bm eval tracking` before `bm eval`."""
    matches = [command for command in commands if command.words == tuple(names[: len(command.words)])]
    return max(matches, key=lambda command: len(command.words), default=None)


def _call(command: Command, arguments: list[str]) -> int:
    import logging

    import tyro

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    cls = command.load()
    try:
        instance = tyro.cli(cls, args=arguments, prog=f"bm {command.name}")
    except SystemExit as stop:  # tyro has printed its help (code 0) or what is wrong with the arguments
        return COULD_NOT_RUN if stop.code else 0
    from bm_sim2real.output_places import check_output_places

    check_output_places(instance)
    return int(instance())


def _missing(module: str) -> str:
    """One line for a package that is not there: which extra brings it, and the command that installs that extra."""
    extra = EXTRA_OF_MODULE[module]
    remedy = f"`make install`, or pip install -e '.[{extra}]'"
    if extra == "train":
        remedy = "`make install-train` (Python 3.12), then .venv-train/bin/bm"
    return f"this command needs {module}, which is not installed here; it comes with the extra {extra}: {remedy}"


def _unknown(names: list[str], commands: list[Command], family: list[Command]) -> str:
    """One line with the closest command, or with where the list is; `family` are the commands of the first word."""
    asked = " ".join(names[:2]) if family else names[0]
    known = [command.name for command in family or commands] + [command.words[0] for command in commands if not family]
    # A word too many is common (an argument), so a family's name alone may be what was nearly typed.
    close = [*difflib.get_close_matches(" ".join(names[:2]), known, n=1), *difflib.get_close_matches(asked, known, n=1)]
    listing = f"bm {names[0]} --help" if family else "bm --help"
    remedy = f"did you mean `bm {close[0]}`?" if close else f"`{listing}` lists them all"
    return f"no command `{asked}`; {remedy}"


def _help(commands: list[Command], is_family: bool) -> str:
    width = max((len(command.name) for command in commands), default=0)
    sections = itertools.groupby(commands, key=lambda command: command.section)
    blocks = [f"usage: bm {commands[0].words[0]} COMMAND [OPTIONS]" if is_family else USAGE]
    for title, members in sections:
        lines = [f"  {command.name:<{width}}  {command.summary()}".rstrip() for command in members]
        blocks.append("\n".join([f"{title}:", *lines]))
    if not commands:
        blocks.append("No commands are registered: install the distribution with `make install`.")
    return "\n\n".join(blocks)


def _without_debug(words: list[str]) -> tuple[list[str], bool]:
    """--debug counts wherever it stands, but after `--` it belongs to the command."""
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word != "--debug"]
    return kept + words[end:], len(kept) < end


def _fail(line: str, code: int, is_debug: bool) -> int:
    if is_debug:
        traceback.print_exc()
    print(line, file=sys.stderr)
    return code


def _report_bug() -> int:
    """Not the user's doing, so all of the traceback; code 2, because 1 means that something was measured and failed."""
    traceback.print_exc()
    print("error: this is a bug in beyondmimic-g1; please report the lines above", file=sys.stderr)
    return COULD_NOT_RUN


def _about_the_disk(error: OSError) -> str | None:
    """One line for a disk that is full, read-only or broken, or for rights that are missing; None for all others."""
    has_no_place = "usable temporary directory" in str(error)  # tempfile has tried them all
    if error.filename is not None and (error.errno in CANNOT_WRITE or isinstance(error, PermissionError)):
        return f"{error.filename}: {error.strerror}; {_remedy(error)}"
    if error.errno in CANNOT_WRITE or has_no_place:
        where = "temporary files" if has_no_place else "stdout, a log, a temporary file or shared memory"
        return f"{where}: {error.strerror}; {_remedy(error)}; TMPDIR names another place for temporary files"
    return None


def _remedy(error: OSError) -> str:
    return "make room on the disk" if error.errno in NO_ROOM else "see whether the disk is full, or its rights"


def _flush_stdout() -> None:
    """Here, where a failure can still be told: Python's own flush at exit would come after the exit code."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError:
        _close_stdout()
        raise


def _close_stdout() -> None:
    """Point stdout at nothing, or Python's own flush at exit raises once more."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
