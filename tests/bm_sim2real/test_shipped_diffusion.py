"""The shipped diffusion policy: it is what its card says, proves itself here, and walks."""

import json
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from bm_core.diffusion.bundle import DiffusionBundle
from bm_sim2real.planning.denoiser import OnnxDenoiser
from bm_sim2real.planning.episode import run_episode
from bm_sim2real.planning.policy import PilotConfig, load_lockstep
from bm_sim2real.planning.walk_perturb import WalkPerturb
from bm_sim2real.policies.tracker import TrackerPolicy

POLICIES = Path(__file__).resolve().parents[2] / "policies"
POLICY = POLICIES / "g1_diffusion.onnx"


@pytest.fixture(scope="module")
def bundle():
    return DiffusionBundle.read(POLICY)


def test_planner_and_decoder_are_one_file_of_at_most_45_megabytes(bundle):
    assert POLICY.stat().st_size <= 45e6
    assert len(bundle.decoder) > 0


def test_the_card_is_about_this_network(bundle):
    card = json.loads((POLICIES / "g1_diffusion.json").read_text())
    assert card["schema"] == 1 and card["graph_sha256"] == bundle.model.graph_sha256
    (promise,) = card["promised_tasks"]
    assert promise["task"] == "walk-perturb" and promise["success_rate"] >= 0.98 and promise["runs"] == 200
    text = (POLICIES / "g1_diffusion.md").read_text()
    assert f"{bundle.contract.training.steps:,}".replace(",", " ") in text


def test_its_plans_are_those_of_the_export(bundle):
    report = bundle.prove(OnnxDenoiser(POLICY, bundle.contract.spec))
    assert report.num_plans == 3


def test_every_plan_starts_from_noise(bundle):
    """Warm starts fell in closed loop (docs/benchmarks.md)."""
    sampler = bundle.contract.spec.sampler
    assert (sampler.warm_state_level, sampler.warm_action_level) == (20, 20)
    assert sampler.passes <= 10 and sampler.action_passes == 2


@pytest.mark.slow
def test_it_walks_on_through_kicks():
    pilot = load_lockstep(POLICY, PilotConfig(latency_steps=1))
    task = WalkPerturb(0, pilot.contract)
    task.seconds = 4.0
    result = run_episode(pilot, TrackerPolicy.load(POLICIES / "g1_tracker.onnx"), task, seed=0)
    assert not result.fell and result.plan_losses == 0
    assert result.path_m > 4.0 * 0.4
