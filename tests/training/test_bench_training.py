"""`bm bench training`: every operation of every size is measured and written; figures are the machine's, not judged."""

import json

import pytest

pytest.importorskip("torch", reason="these tests need torch: run them in .venv-train")

from bm_core.errors import ConfigError  # noqa: E402
from bm_training.bench import BenchTraining  # noqa: E402
from bm_training.sampling.benchmark import benchmark_sampler  # noqa: E402


def test_each_operation_of_each_size_is_a_row_of_table_and_document(tmp_path, capsys):
    out = tmp_path / "bench.json"
    assert BenchTraining(num_envs=8, motions=(2, 3), repeats=4, json=out)() == 0
    document = json.loads(out.read_text())
    operations = [f"sampler {name}" for name in ("sample", "start", "step", "fail", "end_iteration")]
    wanted = {f"{name}, {motions} motions" for motions in (2, 3) for name in (*operations, "motion gather")}
    assert set(document["summary"]) == wanted
    assert all(0.0 < row["p50"] <= row["p99"] <= row["max"] for row in document["rows"])
    printed = capsys.readouterr().out
    assert [name for name in wanted if name not in printed] == []


def test_the_sizes_that_were_asked_for_are_measured():
    few, many = (benchmark_sampler(num_motions=(motions,), num_envs=4, repeats=2)[0].bins for motions in (1, 40))
    assert 2 <= few <= 20 and many > 40  # clips of 2 to 20 s in bins of 1 s


@pytest.mark.parametrize(
    "options, words",
    [
        ({"num_envs": 0}, "--num-envs"),
        ({"repeats": 0}, "--repeats"),
        ({"motions": (5, 0)}, "--motions"),
        ({"device": "abacus"}, "--device abacus"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line_and_writes_nothing(tmp_path, options, words):
    out = tmp_path / "bench.json"
    with pytest.raises(ConfigError, match=words) as refusal:
        BenchTraining(**{"num_envs": 4, "motions": (2,), "repeats": 2, "json": out, **options})()
    assert "\n" not in str(refusal.value) and not out.exists()
