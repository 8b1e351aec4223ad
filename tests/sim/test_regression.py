"""The shipped scenarios of `bm regress`, one test each; and what somebody breaks by hand makes them fail."""

import numpy as np
import pytest

from bm_core.data import shipped_folder
from bm_core.diffusion import sampler as diffusion_sampler
from bm_core.observation import ObservationBuilder
from bm_sim2real.cli import main
from bm_sim2real.planning import evaluation
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.regress import runs
from bm_sim2real.regress.baseline import read_baselines
from bm_sim2real.regress.scenario_file import read_scenarios, shipped_files
from bm_sim2real.regress.verdict import Status, run_scenarios

SCENARIOS = {scenario.name: scenario for scenario in read_scenarios(shipped_files())}
BASELINES = read_baselines(shipped_files())
HAS_DIFFUSION = (shipped_folder("policies") / "g1_diffusion.onnx").exists()

pytestmark = pytest.mark.slow


def outcome_of(name):
    return run_scenarios([SCENARIOS[name]], BASELINES)[0]


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name):
    outcome = outcome_of(name)
    if outcome.status is Status.SKIPPED:
        pytest.skip(outcome.reasons[0])
    assert outcome.passed, f"{'; '.join(outcome.reasons)} ({outcome.detail})"


@pytest.fixture
def loads_anew():
    """What was loaded before the break must not hide it, nor what is broken serve the tests after."""
    caches = [runs._proven, evaluation.load_pilot]
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def test_a_changed_observation_order_fails_it(monkeypatch, loads_anew):
    compute = ObservationBuilder.compute

    def reordered(self, *arguments):
        observation = compute(self, *arguments)
        return np.concatenate([observation[3:6], observation[:3], observation[6:]])

    monkeypatch.setattr(ObservationBuilder, "compute", reordered)
    outcome = outcome_of("walks")
    assert outcome.status is Status.ERROR and "observation" in outcome.reasons[0]
    assert main(["regress", "--only", "walks another stream", "--jobs", "1"]) == 1


def test_a_gain_off_by_15_percent_fails_it(monkeypatch, loads_anew):
    begin = TrackerPolicy.__init__

    def weak(self, *arguments, **options):
        begin(self, *arguments, **options)
        self._kp = 0.85 * self._kp

    monkeypatch.setattr(TrackerPolicy, "__init__", weak)
    outcome = outcome_of("walks")
    assert outcome.status is Status.FAILED
    assert "body_error_mm" in outcome.regressions  # every gate of walking is kept: only the baseline tells


def test_a_wrong_action_scale_fails_it(monkeypatch, loads_anew):
    begin = TrackerPolicy.__init__

    def strong(self, *arguments, **options):
        begin(self, *arguments, **options)
        self._scale = 1.6 * self._scale

    monkeypatch.setattr(TrackerPolicy, "__init__", strong)
    assert outcome_of("walks").status is Status.FAILED


@pytest.mark.skipif(not HAS_DIFFUSION, reason="policies/g1_diffusion.onnx is not there")
def test_a_broken_diffusion_sampler_fails_it(monkeypatch, loads_anew):
    step = diffusion_sampler._Track.step
    monkeypatch.setattr(diffusion_sampler._Track, "step", lambda self, j, x, *pull: step(self, j, 0.8 * x, *pull))
    assert not outcome_of("diffusion walks on under kicks").passed
