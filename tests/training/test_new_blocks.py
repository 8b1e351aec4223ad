"""Blocks that a warm start adds are normalised by what robots see, and nothing else notices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
modules = pytest.importorskip("rsl_rl.modules")

from bm_training.tracking.new_blocks import NewBlocks  # noqa: E402

PROBE = Path(__file__).with_name("new_blocks_probe.py")
ROOT = Path(__file__).resolve().parents[2]


def normaliser(size: int):
    torch.manual_seed(1)
    made = modules.EmpiricalNormalization(size)
    made.update(5.0 + 3.0 * torch.randn(1000, size))
    made.count.fill_(200_000_000)
    return made


def test_new_columns_take_the_statistics_of_the_data_and_old_ones_keep_theirs():
    settled, before = normaliser(5), normaliser(5)
    blocks = NewBlocks(settled, [1, 4])
    shown = torch.randn(40, 8, 5) * torch.tensor([9.0, 2.0, 9.0, 9.0, 0.5]) + torch.tensor([9.0, -1.0, 9.0, 9.0, 4.0])
    for step in shown:
        blocks.add(step)
    blocks.settle()
    flat = shown.flatten(0, 1)
    torch.testing.assert_close(settled.mean[[1, 4]], flat.mean(0)[[1, 4]])
    torch.testing.assert_close(settled.std[[1, 4]], flat.std(0, unbiased=False)[[1, 4]])
    torch.testing.assert_close(settled._var, settled._std.square())
    for name in ("_mean", "_var", "_std"):
        assert torch.equal(getattr(settled, name)[:, [0, 2, 3]], getattr(before, name)[:, [0, 2, 3]])
    assert int(settled.count) == 200_000_000


def test_a_column_that_never_varies_does_not_become_an_enormous_input():
    settled = normaliser(2)
    blocks = NewBlocks(settled, [0])
    blocks.add(torch.full((16, 2), 0.7))
    blocks.settle()
    assert float(settled.mean[0]) == pytest.approx(0.7)
    assert float(settled(torch.tensor([[1.7, 0.0]]))[0, 0]) == pytest.approx(1.0, abs=0.02)


@pytest.fixture(scope="module")
def warm_starts(tmp_path_factory) -> dict[str, Any]:
    """What two warm starts of one run left: from its own networks, and from some without estimates of the base."""
    pytest.importorskip("isaaclab_newton")
    path = os.pathsep.join(str(ROOT / part) for part in ("sim2real", "training", "export"))
    file = tmp_path_factory.mktemp("warm") / "seen.pt"
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROBE), str(file)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=400)
    assert file.is_file(), run.stderr[-2000:]
    return torch.load(file, weights_only=False)


def test_a_warm_start_without_new_blocks_changes_nothing(warm_starts):
    assert warm_starts["plain_added"] == {"policy": [], "critic": []}
    assert differences(warm_starts["before"], warm_starts["plain"]) == []


def test_robots_counts_and_random_states_do_not_notice_the_rollout(warm_starts):
    assert warm_starts["other_added"] == {"policy": ["motion_anchor_pos_b", "base_lin_vel"], "critic": []}
    different = differences(warm_starts["before"], warm_starts["other"])
    actor = [f"/actor/obs_normalizer.{name}" for name in ("_mean", "_std", "_var")]
    assert sorted(different) == sorted([*actor, "/actor/mlp.0.weight"])


def test_the_new_columns_alone_are_settled(warm_starts):
    before, after = (warm_starts[which]["actor"] for which in ("before", "other"))
    new = warm_starts["other_added"]["policy"]
    is_new = torch.cat([torch.full((size,), name in new) for name, size in warm_starts["blocks"]])
    assert int(is_new.sum()) == 6
    for name in ("_mean", "_var", "_std"):
        key = f"obs_normalizer.{name}"
        assert torch.equal(before[key][:, ~is_new], after[key][:, ~is_new])
    # m/s and m: noise of up to half a metre a second, a robot within the limits of its episode.
    std = after["obs_normalizer._std"][0, is_new]
    assert float(std.min()) > 0.01 and float(std.max()) < 1.0
    assert float(after["mlp.0.weight"][:, is_new].abs().max()) == 0.0


def differences(first: Any, second: Any, path: str = "") -> list[str]:
    """Paths at which two nested structures differ."""
    if isinstance(first, dict):
        assert first.keys() == second.keys(), path
        return [found for key in first for found in differences(first[key], second[key], f"{path}/{key}")]
    if isinstance(first, (list, tuple)):
        assert len(first) == len(second), path
        pairs = zip(first, second, strict=True)
        return [found for i, (a, b) in enumerate(pairs) for found in differences(a, b, f"{path}/{i}")]
    if isinstance(first, torch.Tensor):
        return [] if torch.equal(first, second) else [path]
    return [] if repr(first) == repr(second) else [path]
