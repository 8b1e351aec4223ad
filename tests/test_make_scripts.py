"""The scripts behind make: which interpreter is taken; a failed or empty suite cannot look like a passed one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[1] / "tools"
THIS_MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
PASSING = "def test_passes():\n    pass\n"
FAILING = "def test_fails():\n    assert 1 == 2\n"

pytestmark = pytest.mark.slow


def find_python(*minors: str, python: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(
        [TOOLS / "find-python", "no-environment", *minors],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHON": python},
    )


def test_named_interpreter_is_taken():
    answer = find_python("3.13", "3.12", "3.11", "3.10", python=sys.executable)
    assert answer.returncode == 0
    minor = subprocess.run(
        [answer.stdout.strip(), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert minor.stdout.strip() == THIS_MINOR


def test_named_interpreter_that_does_not_fit_is_refused_and_not_replaced_by_another():
    answer = find_python("3.9", THIS_MINOR, python="/bin/false")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "PYTHON=/bin/false" in answer.stderr


def test_version_that_nobody_has_is_not_found():
    answer = find_python("3.2")
    assert (answer.returncode, answer.stdout) == (1, "")


@pytest.fixture
def tree(tmp_path):
    """A copy of tools/test in a tree of its own, whose environments are this interpreter and are never installed."""
    (tmp_path / "tools").mkdir()
    shutil.copy(TOOLS / "test", tmp_path / "tools" / "test")
    wrapper = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
    stubs = {
        "tools/find-python": f'#!/bin/sh\necho "{sys.executable}"\n',
        "tools/install": "#!/bin/sh\nexit 0\n",
        ".venv/bin/python": wrapper,
        ".venv-train/bin/python": wrapper,
        **{f".venv-3.{minor}/bin/python": wrapper for minor in (10, 11, 12, 13)},
    }
    for name, text in stubs.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    (tmp_path / "tests" / "training").mkdir(parents=True)
    return tmp_path


def run_tests(tree: Path, *arguments: str) -> tuple[int, list[str]]:
    """Exit code of tools/test and the lines of its summary."""
    answer = subprocess.run([tree / "tools" / "test", *arguments], capture_output=True, text=True, check=False)
    return answer.returncode, answer.stdout.partition("== summary\n")[2].splitlines()


def test_passing_suites_are_reported_with_pytests_closing_line(tree):
    (tree / "tests" / "test_runtime.py").write_text(PASSING)
    (tree / "tests" / "training" / "test_training.py").write_text(PASSING)
    code, summary = run_tests(tree)
    assert code == 0
    assert summary[0].startswith(f"runtime, Python {THIS_MINOR}: 1 passed")
    assert summary[1].startswith("training, Python 3.12: 1 passed")


@pytest.mark.parametrize("failing", ["tests/test_runtime.py", "tests/training/test_training.py"])
def test_one_failing_suite_fails_the_whole(tree, failing):
    for name in ("tests/test_runtime.py", "tests/training/test_training.py"):
        (tree / name).write_text(FAILING if name == failing else PASSING)
    code, summary = run_tests(tree)
    assert code == 1
    assert sum("FAILED (pytest exit 1): 1 failed" in line for line in summary) == 1
    at = next(k for k, line in enumerate(summary) if "FAILED" in line)
    assert [line.strip() for line in summary[at + 1 : at + 3]] == ["test_fails", "assert 1 == 2"]


def test_suite_without_tests_is_said_and_fails_nothing(tree):
    (tree / "tests" / "test_runtime.py").write_text(PASSING)
    code, summary = run_tests(tree)
    assert code == 0
    assert summary[1] == "training, Python 3.12: no tests collected"


def test_other_pythons_are_all_or_those_that_are_named(tree):
    (tree / "tests" / "test_runtime.py").write_text(PASSING)
    code, summary = run_tests(tree, "--other-pythons")
    assert (code, len(summary)) == (0, 3)
    named = next(minor for minor in ("3.10", "3.13") if minor != THIS_MINOR)
    code, summary = run_tests(tree, "--other-pythons", named)
    assert (code, len(summary)) == (0, 1)


def test_file_that_cannot_be_imported_fails(tree):
    (tree / "tests" / "test_runtime.py").write_text("import no_such_module\n")
    code, summary = run_tests(tree)
    assert code == 1
    assert "FAILED (pytest exit" in summary[0]


def test_environment_that_cannot_be_installed_fails(tree):
    (tree / "tools" / "install").write_text("#!/bin/sh\nexit 1\n")
    code, summary = run_tests(tree)
    assert code == 1
    assert "could not be installed" in summary[0]


@pytest.mark.skipif(sys.platform != "linux", reason="the training suite is for Linux")
def test_missing_python_for_training_is_said_in_one_line(tree):
    (tree / "tests" / "test_runtime.py").write_text(PASSING)
    found = f'#!/bin/sh\n[ "$1" = .venv-train ] && exit 1\necho "{sys.executable}"\n'
    (tree / "tools" / "find-python").write_text(found)
    code, summary = run_tests(tree)
    assert code == 0
    assert summary[1].startswith("training: NOT RUN, no Python 3.12")
