"""`bm bench diffusion`: a row for each setting, measured in full; how fast this machine is, is not judged here."""

import json

import pytest

from bm_core.data import shipped
from bm_sim2real.cli import main
from bm_sim2real.planning.bench import plan_latency_s
from bm_sim2real.planning.policy import PilotConfig


def bench(tmp_path, *options):
    out = tmp_path / "bench.json"
    code = main(["bench", "diffusion", "--plans", "1", "--passes", "2", "1", "--json", str(out), *options])
    return code, json.loads(out.read_text())


def test_each_setting_is_a_row_with_all_of_its_times(tmp_path, capsys):
    code, document = bench(tmp_path, "--action-passes", "1", "--require-p50-ms", "1e9", "--require-p99-ms", "1e9")
    assert (code, document["passed"]) == (0, True)
    assert [(row["threads"], row["passes"], row["action_passes"]) for row in document["rows"]] == [(1, 2, 1), (1, 1, 1)]
    for row in document["rows"]:
        for what in ("full_pass_ms", "states_pass_ms", "plan_ms", "guided_plan_ms"):
            assert 0.0 < row[what]["p50"] <= row[what]["p95"] <= row[what]["max"]
    first = document["rows"][0]
    assert document["summary"]["guided_plan"] == {**first["guided_plan_ms"], "unit": "ms"}
    assert first["bundle"] == "g1_diffusion.onnx" and first["precision"] == "int8"
    assert "2 + 1" in capsys.readouterr().out


def test_a_plan_slower_than_asked_for_is_exit_1(tmp_path):
    code, document = bench(tmp_path, "--require-p50-ms", "0")
    assert (code, document["passed"]) == (1, False)


@pytest.mark.parametrize(
    "options, words",
    [
        (["--plans", "0"], "--plans must be at least 1"),
        (["--passes", "0"], "0 passes"),
        (["nowhere.onnx"], "nowhere.onnx"),
        (["--provider", "abacus"], "abacus"),
    ],
)
def test_what_cannot_be_timed_is_one_line_and_exit_2(tmp_path, capsys, options, words):
    out = tmp_path / "bench.json"
    assert main(["bench", "diffusion", *options, "--json", str(out)]) == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith("error: ") and words in told and "\n" not in told
    assert not out.exists()


def test_the_latency_that_evaluations_take_over_is_that_of_a_guided_plan():
    pilot = PilotConfig(passes=1, action_passes=0)
    assert 0.0 < plan_latency_s(shipped("policies", "g1_diffusion.onnx"), pilot, plans=1) < 60.0
