"""The command delay inside the solver's loop gives the trajectories of the loop in Isaac Lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("isaaclab")

PROBE = Path(__file__).with_name("newton_delay_probe.py")
ROOT = Path(__file__).resolve().parents[2]


def run(who: str) -> dict:
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, str(PROBE), who], capture_output=True, text=True, env=environment, timeout=300
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith("PROBE ")]
    assert lines, result.stderr[-2000:]
    return json.loads(lines[0].removeprefix("PROBE "))


def test_both_loops_give_equal_trajectories_for_every_delay():
    solver, isaaclab = run("solver"), run("isaaclab")
    assert solver["handles_decimation"] and not isaaclab["handles_decimation"]
    np.testing.assert_allclose(solver["joint_pos"], isaaclab["joint_pos"], atol=1e-5)
    np.testing.assert_allclose(solver["height"], isaaclab["height"], atol=1e-5)
    # The delay matters: five environments with equal actions and delays of 0, 5, 10, 15, 20 ms differ.
    assert len({round(row[3], 4) for row in solver["joint_pos"]}) == 5
