"""docs/guide.md does what it says: its CPU commands run as printed, from a motion to a judged policy."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("isaaclab")

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guide.md").read_text()

pytestmark = pytest.mark.slow


def printed(heading):
    """The `bm` lines of a section's code blocks that the tiny run is made of, comments cut off."""
    section = GUIDE.partition(f"## {heading}")[2].partition("\n## ")[0]
    blocks = re.findall(r"```\n(.*?)```", section, re.DOTALL)
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [re.sub(r"^(\S*/)?bm ", "", line) for line in lines if re.match(r"(\S*/)?bm ", line)]


TINY = [
    *(line for line in printed("2. Train your own motion") if "runs/mine" not in line),
    *(line for line in printed("3. Judge") if "tiny.onnx" in line and not line.startswith("view")),
]
MAY_FAIL = ("eval tracking",)
"""Exit code 1, measured and failed: five iterations on a CPU teach nobody to walk."""


def test_the_tiny_run_is_in_the_guide():
    verbs = [" ".join(line.split()[:2]) for line in TINY]
    assert verbs[:5] == ["motion check", "motion convert", "motion render", "train tracking", "export tracking"]
    assert verbs[5:] == ["check tiny.onnx", "eval tracking"]


def test_a_newcomer_trains_exports_and_checks_with_every_command_as_printed(tmp_path):
    """Ten seconds of imports a command; the folder holds what a clone holds."""
    for name in ("motions", "policies"):
        (tmp_path / name).symlink_to(ROOT / name)
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    for line in TINY:
        command = [sys.executable, "-m", "bm_sim2real.cli", *shlex.split(line)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1200)
        allowed = (0, 1) if line.startswith(MAY_FAIL) else (0,)
        assert done.returncode in allowed, f"bm {line}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
    assert (tmp_path / "tiny.onnx").exists()
    assert (tmp_path / "my_motions" / "walk.png").exists()
