"""The environment of collection and of closed-loop evaluation, without its simulator."""

from contextlib import contextmanager
from types import SimpleNamespace

import isaaclab.app
import isaaclab.envs
import pytest

from bm_training.diffusion.simulated_env import simulated_env


class NewtonCfg:
    """Goes by its name."""


class Env:
    def __init__(self, cfg):
        self.cfg, self.is_closed = cfg, False
        self.opt = SimpleNamespace(warn_overflow=True)
        solver = SimpleNamespace(mjw_model=SimpleNamespace(opt=self.opt))
        self.sim = SimpleNamespace(physics_manager=SimpleNamespace(_solver=solver))

    def close(self):
        self.is_closed = True


@pytest.fixture
def cfg(monkeypatch):
    @contextmanager
    def launch_simulation(cfg, _):
        yield

    monkeypatch.setattr(isaaclab.app, "launch_simulation", launch_simulation)
    monkeypatch.setattr(isaaclab.envs, "ManagerBasedRLEnv", Env)
    return SimpleNamespace(sim=SimpleNamespace(physics=NewtonCfg()))


def test_newton_prints_nothing_from_inside_its_kernels(cfg):
    # 83 hours of collection had ten million lines in their log, all of them "linesearch iterations limit reached".
    with simulated_env(cfg) as env:
        assert env.opt.warn_overflow is False


def test_it_is_closed_whatever_happens(cfg):
    with pytest.raises(ZeroDivisionError), simulated_env(cfg) as env:
        _ = 1 / 0
    assert env.is_closed
