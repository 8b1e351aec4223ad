"""`bm eval diffusion` around its runs: which settings are run, what decides about exit 0, what is written. The runs
themselves are tested in test_guided_run.py and test_shipped_diffusion.py."""

import json

import pytest

from bm_sim2real.cli import main
from bm_sim2real.planning import evaluation
from bm_sim2real.planning.episode import EpisodeResult


def result(seed, success):
    return EpisodeResult(
        seed=seed,
        success=success,
        fell=not success,
        head_fell=False,
        detail="" if success else "fell after 2.0 s",
        seconds=10.0,
        path_m=4.0,
        net_m=3.0,
        plans=2,
        plan_losses=0,
        plan_ms=(10.0, 20.0),
        values={"velocity_error": 0.1},
    )


@pytest.fixture
def asked(monkeypatch):
    """The evaluations that were asked for; seed 1 fails, and with few passes every seed."""
    configs = []

    def run(config, seeds, *, jobs, on_result):
        configs.append(config)
        results = [result(seed, seed != 1 and config.pilot.passes != 4) for seed in seeds]
        for each in results:
            on_result(each)
        return results

    monkeypatch.setattr(evaluation, "run_evaluation", run)
    return configs


def evaluate(tmp_path, *options):
    out = tmp_path / "out.json"
    code = main(["eval", "diffusion", "--runs", "4", "--latency-ms", "25", "--json", str(out), *options])
    return code, json.loads(out.read_text())


@pytest.mark.parametrize("require, code", [("0.75", 0), ("0.76", 1)])
def test_enough_successes_are_exit_0(asked, tmp_path, capsys, require, code):
    got, document = evaluate(tmp_path, "--require", require)
    assert (got, document["passed"]) == (code, code == 0)
    summary = document["summary"]
    assert (summary["runs"], summary["successes"], summary["falls"], summary["success_rate"]) == (4, 3, 1, 0.75)
    assert summary["plan_ms"]["max"] == 20.0 and summary["velocity_error"] == pytest.approx(0.1)
    assert [row["success"] for row in document["rows"]] == [True, False, True, True]
    printed = capsys.readouterr().out
    assert "3 of 4 (75.0%" in printed and "fell after 2.0 s" in printed
    assert ("passed" if code == 0 else "FAILED") in printed


def test_latency_is_rounded_up_to_control_steps_and_is_part_of_the_result(asked, tmp_path):
    _, document = evaluate(tmp_path)
    assert asked[0].pilot.latency_steps == 2
    assert document["summary"]["latency_ms"] == 40 and document["summary"]["conditions"]["latency_ms"] == 25.0


def test_a_sweep_runs_each_setting_and_the_bundles_own_decides(asked, tmp_path):
    code, document = evaluate(tmp_path, "--sweep", "--require", "0.75")
    assert code == 0  # though with 4 passes none succeeds
    settings = [(config.pilot.passes, config.pilot.is_warm) for config in asked]
    assert settings == [(None, True), *((passes, warm) for passes in (20, 10, 6, 4) for warm in (True, False))]
    rates = {each["setting"]: each["success_rate"] for each in document["summary"]["settings"]}
    assert (rates[""], rates["10 passes warm"], rates["4 passes cold"]) == (0.75, 0.75, 0.0)
    assert len(document["rows"]) == 9 * 4


def test_guidance_and_sampler_settings_of_the_command_line_reach_the_runs(asked, tmp_path):
    file = tmp_path / "guidance.json"
    file.write_text('{"slew": 0.5}')
    evaluate(tmp_path, "--guidance", str(file), "--passes", "6", "--eta", "0.5", "--cold", "--ground-truth")
    (config,) = asked
    assert (config.pilot.passes, config.pilot.eta, config.pilot.is_warm) == (6, 0.5, False)
    assert config.pilot.guidance.slew == 0.5
    assert config.episode.simulation.base_state.value == "ground_truth"


@pytest.mark.parametrize("options, words", [(["--runs", "0"], "--runs 0"), (["--task", "fly"], "task 'fly'")])
def test_what_cannot_be_run_is_refused_in_one_line(options, words, capsys):
    assert main(["eval", "diffusion", "--latency-ms", "20", *options]) == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith("error: ") and words in told and "\n" not in told
