"""`bm soak`: what counts as growing memory and as late, and that a run that went wrong is not taken for a quiet one."""

import json
import os
import subprocess
import sys

import pytest
import unitree_wire  # noqa: F401  the DDS extra, and a tag of our own

from bm_sim2real import soak
from bm_sim2real.cli import main
from bm_sim2real.soak import SoakResult, growth_mb, rss_mb

QUIET = [1000, 5, 0, 0, 0, 0, 0, 0, 0, 0]
"""Ticks by class; the first four are up to 2 ms late."""


def result(*, growth=0.0, writer=QUIET, bare=QUIET, played=3):
    late = {"writer": writer, "bare loop": bare}
    return SoakResult(seconds=60.0, growth_mb={"writer": growth}, late=late, client={"played": played, "faults": []})


def late(ticks):
    return [*QUIET[:5], ticks, *QUIET[6:]]


def test_memory_that_grows_only_in_the_first_third_has_not_grown():
    assert growth_mb([10.0, 25.0, 40.0, *[50.0] * 6]) == pytest.approx(0.0, abs=1e-9)


def test_steady_growth_is_counted_after_the_first_third():
    # 9 samples, 2 MB apart; the last 6 span 5 intervals.
    assert growth_mb([100.0 + 2.0 * i for i in range(9)]) == pytest.approx(10.0)


def test_three_samples_are_needed_to_speak_of_growth():
    assert growth_mb([10.0, 90.0, 170.0]) == 0.0


def test_memory_of_this_process_is_some_megabytes_and_of_an_ended_one_none():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert rss_mb(os.getpid()) > 5.0
    assert rss_mb(ended.pid) == 0.0


@pytest.mark.parametrize(
    "seen, passes",
    [
        (result(), True),
        (result(growth=5.0), False),
        (result(growth=4.9), True),
        (result(writer=late(2)), True),  # twice one: a bare loop without a late tick counts as one with one
        (result(writer=late(3)), False),
        (result(writer=late(20), bare=late(10)), True),
        (result(writer=late(21), bare=late(10)), False),
        (result(played=1), True),
        (result(played=0), False),  # quiet, but nothing moved
    ],
)
def test_both_bars_must_hold(seen, passes):
    assert seen.passes(most_growth_mb=5.0, most_late=2.0) is passes


@pytest.mark.parametrize("minutes", ["0", "-1", "nan"])
def test_no_time_at_all_is_refused(minutes, capsys):
    assert main(["soak", "--minutes", minutes]) == 2
    assert capsys.readouterr().err.startswith(f"error: --minutes {minutes}: must be above 0")


@pytest.fixture
def looks_often(monkeypatch):
    monkeypatch.setattr(soak, "SAMPLE_S", 0.25)


LOOSE = ("--most-late", "1e9", "--most-growth-mb", "1e9")
"""How late ticks are, and whether memory still settles within seconds, is the machine's affair."""


@pytest.mark.slow
def test_a_client_that_ends_by_itself_is_an_error_with_its_last_words(tmp_path, looks_often, capsys):
    out = tmp_path / "soak.json"
    code = main(
        [
            "soak",
            "--minutes",
            "10",
            "--policy",
            str(tmp_path / "none.onnx"),
            "--real-time-factor",
            "0.1",
            "--json",
            str(out),
        ]
    )
    assert code == 2 and not out.exists()
    told = capsys.readouterr().err
    assert "client ended after" in told and "none.onnx" in told


@pytest.mark.slow
def test_a_run_measures_every_process_and_leaves_none_behind(tmp_path, looks_often, capsys, monkeypatch):
    started = []
    start = soak.Soak._start

    def noted(self, name, what, *arguments):
        start(self, name, what, *arguments)
        started.append(self.processes[name])

    monkeypatch.setattr(soak.Soak, "_start", noted)
    out = tmp_path / "soak.json"
    code = main(
        ["soak", "--minutes", "0.1", "--real-time-factor", "0.25", *LOOSE, "--json", str(out)],
    )
    document = json.loads(out.read_text())
    # Six seconds at a quarter of real time end before the first motion does: all is measured, nothing is passed.
    assert (code, document["passed"], document["command"]) == (1, False, "soak")
    names = {"simulated robot", "guardian", "writer", "client", "bare loop"}
    assert {row["process"] for row in document["rows"]} == names
    assert all(row["rss_mb"] > 5.0 for row in document["rows"])
    histograms = document["summary"]["late_histogram"]
    assert set(histograms) == {"writer", "bare loop"} and all(sum(counts) > 100 for counts in histograms.values())
    assert [process.poll() is None for process in started] == [False] * 4
    printed = capsys.readouterr().out
    assert [
        word for word in (*names, "later than 2", "0 motions played", "more --minutes") if word not in printed
    ] == []
