"""The result document: its keys, its conversions, and that it appears whole or not at all."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from bm_core.errors import ConfigError
from bm_sim2real.result_json import jsonable, version, write_result


def written(tmp_path, **changes):
    arguments = {"command": "bm eval tracking", "rows": [], "summary": {}, "passed": True, **changes}
    write_result(tmp_path / "result.json", **arguments)
    return json.loads((tmp_path / "result.json").read_text())


def test_document_has_exactly_the_promised_keys(tmp_path):
    assert list(written(tmp_path)) == ["command", "version", "machine", "rows", "summary", "passed"]


def test_rows_and_summary_come_back_unchanged(tmp_path):
    rows = [{"clip": "walk", "completed": True, "seconds": 12.5}]
    document = written(tmp_path, rows=rows, summary={"tick_ms": {"p50": 1.25}}, passed=False)
    assert (document["rows"], document["summary"]["tick_ms"]["p50"], document["passed"]) == (rows, 1.25, False)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_what_is_not_finite_becomes_null(tmp_path, value):
    assert written(tmp_path, summary={"body_error_m": value})["summary"] == {"body_error_m": None}


def test_numpy_values_become_numbers_and_nested_lists(tmp_path):
    summary = {"count": np.int64(3), "flag": np.bool_(True), "matrix": np.array([[1.0, math.nan]]), "path": Path("a/b")}
    assert written(tmp_path, summary=summary)["summary"] == {
        "count": 3,
        "flag": True,
        "matrix": [[1.0, None]],
        "path": "a/b",
    }


def test_passed_from_a_numpy_comparison_is_a_json_boolean(tmp_path):
    assert written(tmp_path, passed=np.float64(0.9) >= 0.95)["passed"] is False


@pytest.mark.parametrize("value", [{1, 2}, object(), {3: "key is no string"}])
def test_value_that_json_cannot_hold_is_refused_and_nothing_is_written(tmp_path, value):
    with pytest.raises(TypeError):
        written(tmp_path, summary={"bad": value})
    assert list(tmp_path.iterdir()) == []


def test_machine_says_what_a_timing_needs_and_names_no_host(tmp_path):
    machine = written(tmp_path)["machine"]
    assert {"cpu", "cores", "memory_gib", "system", "python", "packages"} == set(machine)
    assert machine["cores"] >= 1
    assert "numpy" in machine["packages"]


def test_version_names_the_commit_in_a_checkout():
    if not (Path(__file__).resolve().parents[2] / ".git").exists():
        pytest.skip("not a git checkout")
    assert version().partition("+")[2] != ""


def test_path_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_result(tmp_path / "file" / "r.json", command="demo", rows=[], summary={}, passed=True)


def test_deep_rows_keep_their_order():
    assert list(jsonable({"b": 1, "a": (1, 2)}).items()) == [("b", 1), ("a", [1, 2])]
