"""Runs with different sampling in one table: worst tenths, means over seeds, refusal of unlike evaluations."""

import json

import pytest

from bm_core.errors import ConfigError
from bm_training.tracking.sampling_comparison import compare, summarize


def evaluation(path, rates, completion=0.5, clip="walk"):
    rows = [{"kind": "clip", "clip": clip}]
    rows += [{"kind": "bin", "clip": clip, "start_s": float(i), "failure_rate": r} for i, r in enumerate(rates)]
    summary = {
        "completion_rate": completion,
        "uniform_completion_rate": completion,
        "bin_failure_rate": sum(rates) / len(rates),
        "worst_tenth_failure_rate": max(rates),
        "body_error_m": 0.04,
        "policy_steps": 1000,
    }
    path.write_text(json.dumps({"rows": rows, "summary": summary}))
    return path


def test_own_and_common_worst_tenth(tmp_path):
    # 20 bins: two of them are the worst tenth. On average bins 18 and 19 fail most.
    first = evaluation(tmp_path / "a.json", [0.0] * 17 + [0.0, 0.8, 0.6])
    second = evaluation(tmp_path / "b.json", [0.5] + [0.0] * 17 + [0.2, 0.4])
    rows = compare([("adaptive", [first]), ("uniform", [second])])
    assert [row["own_worst_tenth"] for row in rows] == pytest.approx([0.7, 0.45])
    assert [row["common_worst_tenth"] for row in rows] == pytest.approx([0.7, 0.3])


def test_seeds_of_a_label_are_averaged_and_their_range_is_given(tmp_path):
    files = [evaluation(tmp_path / f"{i}.json", [0.0] * 10, completion) for i, completion in enumerate((0.5, 0.8))]
    summary = summarize(compare([("adaptive", files)]))
    assert summary["adaptive"]["runs"] == 2
    assert summary["adaptive"]["completion_rate"] == pytest.approx({"mean": 0.65, "min": 0.5, "max": 0.8})


def test_evaluations_on_other_bins_are_refused(tmp_path):
    first = evaluation(tmp_path / "a.json", [0.1] * 10)
    other = evaluation(tmp_path / "b.json", [0.1] * 10, clip="run")
    with pytest.raises(ConfigError, match=r"b\.json: its bins are not those"):
        compare([("adaptive", [first]), ("uniform", [other])])


def test_a_document_of_another_command_is_refused(tmp_path):
    file = tmp_path / "demo.json"
    file.write_text('{"rows": [], "summary": {"clips": 3}}')
    with pytest.raises(ConfigError, match="no evaluation with bins"):
        compare([("adaptive", [file])])


def without(key):
    def change(document):
        del document["summary"][key]

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(summary=None),
        lambda document: document.update(summary=[1]),
        lambda document: document.pop("summary"),
        lambda document: document.pop("rows"),
        lambda document: document.update(rows=None),
        lambda document: document.update(rows=[1]),
        lambda document: document.update(rows=[]),
        lambda document: document["rows"].append({"kind": "bin", "clip": "walk"}),
        lambda document: document["rows"].append({"kind": "bin", "clip": [], "start_s": 9.0, "failure_rate": 0.1}),
        lambda document: document["rows"][-1].update(failure_rate=None),
        without("completion_rate"),
        without("body_error_m"),
        without("policy_steps"),
        lambda document: document["summary"].update(completion_rate="all"),
    ],
)
def test_a_malformed_document_is_one_line(change, tmp_path):
    file = evaluation(tmp_path / "a.json", [0.1] * 10)
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=r"a\.json: no evaluation with bins \(.+\); make it with") as raised:
        compare([("adaptive", [file])])
    assert "\n" not in str(raised.value)


def test_rows_without_a_kind_do_not_count(tmp_path):
    file = evaluation(tmp_path / "a.json", [0.1] * 10)
    document = json.loads(file.read_text())
    document["rows"].append({"clip": "walk"})
    file.write_text(json.dumps(document))
    assert compare([("adaptive", [file])])[0]["own_worst_tenth"] == pytest.approx(0.1)
