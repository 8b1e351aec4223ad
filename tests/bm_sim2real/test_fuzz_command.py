"""`bm fuzz`: what it was told to try is tried and written; a finding, and nothing tried at all, are no success."""

import json

import pytest
import unitree_wire  # noqa: F401  the DDS extra, and a tag of our own

import bm_sim2real.fuzzing.files as files
from bm_sim2real.cli import main


def fuzz(tmp_path, *counts):
    out = tmp_path / "fuzz.json"
    options = [
        f"--{name}={count}" for name, count in zip(("commands", "readings", "bundles", "motions"), counts, strict=True)
    ]
    return main(["fuzz", *options, "--json", str(out)]), out


def test_each_target_is_tried_as_often_as_asked_for(tmp_path, capsys):
    code, out = fuzz(tmp_path, 50, 20, 6, 8)
    document = json.loads(out.read_text())
    assert (code, document["passed"]) == (0, True)
    assert [row["tried"] for row in document["rows"]] == [50, 20, 6, 8]
    assert document["summary"] == {"tried": 84, "findings": 0}
    assert all(row["target"] in capsys.readouterr().out for row in document["rows"][:1])


def test_a_target_without_a_count_is_left_out(tmp_path):
    code, out = fuzz(tmp_path, 0, 0, 0, 4)
    assert (code, [row["tried"] for row in json.loads(out.read_text())["rows"]]) == (0, [4])


def test_a_finding_is_exit_1_and_shown(tmp_path, monkeypatch, capsys):
    read = files.load_clip
    monkeypatch.setattr(files, "load_clip", lambda path, **how: {}["missing"] if how else read(path))
    code, out = fuzz(tmp_path, 0, 0, 0, 3)
    document = json.loads(out.read_text())
    assert (code, document["passed"], document["summary"]["findings"]) == (1, False, 3)
    printed = capsys.readouterr().out
    assert "KeyError" in printed and "FAILED" in printed


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (-1, 1, 1, 1)])
def test_nothing_to_try_is_refused_instead_of_passed(tmp_path, capsys, counts):
    code, out = fuzz(tmp_path, *counts)
    assert code == 2 and not out.exists()
    assert capsys.readouterr().err.startswith("error: --commands")
