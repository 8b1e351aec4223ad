"""The step that never waits for the GPU does what Isaac Lab's own does: same actions, same everything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("isaaclab")

PROBE = Path(__file__).with_name("masked_step_probe.py")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", params=("newton", "ovphysx"))
def both(request, tmp_path_factory):
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    outcomes = []
    for kind in ("masked", "indexed"):
        file = tmp_path_factory.mktemp(kind) / "seen.npz"
        command = [sys.executable, str(PROBE), request.param, kind, str(file)]
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=400)
        assert file.is_file(), run.stderr[-2000:]
        outcomes.append(dict(np.load(file)))
    return outcomes


def test_episodes_ended_in_every_way(both):
    masked, _ = both
    ended = masked["terminated"].sum(axis=0), masked["truncated"].sum(axis=0)
    assert ended[1].max() > 0 and ended[0].max() > 1


@pytest.mark.parametrize("name", ["terminated", "truncated", "entries"])
def test_endings_and_counts_are_the_same(both, name):
    masked, indexed = both
    np.testing.assert_array_equal(masked[name], indexed[name])


@pytest.mark.parametrize("name", ["policy", "critic", "reward"])
def test_observations_and_rewards_are_the_same(both, name):
    masked, indexed = both
    np.testing.assert_allclose(masked[name], indexed[name], atol=1e-4)
