"""The script behind make coverage: lines of other processes count; missing lines and failing tests are no success."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WORK = """
import time


def here():
    return 1


def elsewhere():
    for _ in range(600):
        print("up", flush=True)
        time.sleep(0.1)
"""
NEVER = """

def never():
    return 2
"""
TESTS = """
import subprocess
import sys

from bm_core.work import here

CHILD = "import sys; sys.path.insert(0, 'sim2real'); from bm_core.work import elsewhere; elsewhere()"


def test_here():
    assert here() == 1


def test_elsewhere():
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE)
    assert [child.stdout.readline() for _ in range(2)] == [b"up\\n"] * 2
    child.terminate()
    child.wait()
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def tree(tmp_path):
    """A project of one module, whose environment is this interpreter."""
    files = {
        "sim2real/bm_core/__init__.py": "",
        "sim2real/bm_core/work.py": WORK,
        "tests/test_work.py": TESTS,
        ".venv/bin/python": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / ".venv/bin/python").chmod(0o755)
    (tmp_path / "tools").mkdir()
    for name in ("coverage", "test"):
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools" / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def measure(tree):
    """Exit code, and the cells of the package's row: lines, missed, %, files below the target."""
    # These tests may themselves be measured; what they start measures on its own.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("COVERAGE", "PYTEST"))}
    command = [sys.executable, str(tree / "tools" / "coverage")]
    told = subprocess.run(command, capture_output=True, text=True, check=False, env=inherited)
    assert "not measured: what needs torch" in told.stdout
    (row,) = (line.split() for line in told.stdout.splitlines() if line.startswith("bm_core "))
    return told.returncode, [cell for cell in row[1:] if cell != "%"]


def test_lines_of_a_process_that_ends_on_sigterm_count(tree):
    assert measure(tree) == (0, ["7", "0", "100.0", "-"])
    assert (tree / "reports" / "coverage" / "html" / "index.html").exists()


def test_a_package_below_the_target_fails_and_its_files_are_named(tree):
    (tree / "sim2real/bm_core/work.py").write_text(WORK + NEVER)
    assert measure(tree) == (1, ["9", "1", "88.9", "work.py"])


def test_a_failing_test_fails_it_whatever_was_run(tree):
    with (tree / "tests/test_work.py").open("a") as file:
        file.write("\n\ndef test_fails():\n    assert here() == 2\n")
    assert measure(tree) == (1, ["7", "0", "100.0", "-"])
