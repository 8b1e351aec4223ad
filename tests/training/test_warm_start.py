"""Copying a policy onto another observation."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from bm_core.errors import ConfigError  # noqa: E402
from bm_training.tracking.ppo_cfg import PpoConfig  # noqa: E402
from bm_training.tracking.warm_start import expanded, new_columns, transfer  # noqa: E402

OLD = [("command", 3), ("gyro", 2)]
NEW = [("command", 3), ("lin_vel", 2), ("gyro", 2)]


class Net(torch.nn.Module):
    """State names of rsl-rl's MLPModel, without rsl-rl."""

    def __init__(self, size: int, hidden: int = 8) -> None:
        super().__init__()
        self.obs_normalizer = torch.nn.Module()
        self.obs_normalizer.register_buffer("_mean", torch.zeros(1, size))
        self.obs_normalizer.register_buffer("_var", torch.ones(1, size))
        self.obs_normalizer.register_buffer("_std", torch.ones(1, size))
        self.obs_normalizer.register_buffer("count", torch.tensor(0))
        self.mlp = torch.nn.Sequential(torch.nn.Linear(size, hidden), torch.nn.ELU(), torch.nn.Linear(hidden, 4))

    def forward(self, x):
        return self.mlp((x - self.obs_normalizer._mean) / (self.obs_normalizer._std + 0.01))


def trained(size: int) -> Net:
    torch.manual_seed(3)
    net = Net(size)
    net.obs_normalizer._mean.uniform_(-1, 1)
    net.obs_normalizer._std.uniform_(0.5, 2)
    net.obs_normalizer._var.copy_(net.obs_normalizer._std.square())
    net.obs_normalizer.count.fill_(200_000_000)
    return net


def test_the_warm_started_policy_acts_like_the_old_one_whatever_the_new_terms_say():
    old, new = trained(5), Net(7)
    added = transfer(new, old.state_dict(), OLD, NEW, "actor")
    seen = torch.randn(6, 5)
    noise = 10.0 * torch.randn(6, 2)
    assert added == ["lin_vel"]
    torch.testing.assert_close(new(torch.cat([seen[:, :3], noise, seen[:, 3:]], -1)), old(seen))


def test_known_blocks_keep_their_statistics_and_the_samples_behind_them():
    old, new = trained(5), Net(7)
    transfer(new, old.state_dict(), OLD, NEW, "actor")
    assert int(new.obs_normalizer.count) == 200_000_000
    for name in ("_mean", "_var", "_std"):
        kept, had = getattr(new.obs_normalizer, name)[:, [0, 1, 2, 5, 6]], getattr(old.obs_normalizer, name)
        assert torch.equal(kept, had)


def test_another_motion_set_does_not_rescale_the_inputs():
    # 32 iterations of 98 304 samples: a mean two deviations off, deviations of the double. With statistics that count
    # for a million samples the actions move by more than their own deviation, and a tracker falls.
    rsl_rl = pytest.importorskip("rsl_rl.modules")
    old, new = trained(5), Net(5)
    new.obs_normalizer = rsl_rl.EmpiricalNormalization(5)
    transfer(new, old.state_dict(), OLD, OLD, "actor")
    mean, std = old.obs_normalizer._mean, old.obs_normalizer._std
    seen = mean + std * torch.randn(500, 5)
    with torch.no_grad():
        before = new(seen)
        for _ in range(32):
            new.obs_normalizer.update(mean + 2.0 * std + 2.0 * std * torch.randn(98_304, 5))
        moved = (new(seen) - before).square().mean().sqrt()
    assert float(moved) < 0.1 * float(before.std())


def test_terms_of_another_size_start_anew():
    new = Net(6)
    resized = [("command", 4), ("gyro", 2)]
    added = transfer(new, trained(5).state_dict(), OLD, resized, "actor")
    assert added == ["command"]
    assert new_columns(OLD, resized) == [0, 1, 2, 3]
    assert float(new.mlp[0].weight[:, :4].detach().abs().max()) == 0.0


def test_new_columns_are_those_of_new_blocks():
    assert new_columns(OLD, NEW) == [3, 4]
    assert new_columns(OLD, OLD) == []


def test_other_hidden_layers_are_refused():
    with pytest.raises(ConfigError, match="8 units"):
        transfer(Net(7, hidden=16), trained(5).state_dict(), OLD, NEW, "actor")


def test_a_window_is_split_by_offset():
    assert expanded([("command", 58), ("reference_window", 78)], (4, 8)) == [
        ("command", 58),
        ("reference_window[4]", 39),
        ("reference_window[8]", 39),
    ]


@pytest.mark.parametrize("std", [-1.0, 0.0, math.nan, math.inf])
def test_an_impossible_standard_deviation_is_refused(std):
    with pytest.raises(ConfigError, match="init_std = .*: a number above 0"):
        PpoConfig(init_std=std)
