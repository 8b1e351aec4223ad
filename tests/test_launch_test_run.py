"""A failed launch is a failure, unless this computer stood still meanwhile; needs no ROS 2."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("cyclonedds", reason="the hardware extra is not installed (x86-64 only)")
sys.path.insert(0, str(Path(__file__).parent / "ros"))
import launch_test_run
from launch_test_run import LaunchTestRun
from stillness import Stillness


@pytest.fixture
def launches(monkeypatch, tmp_path):
    """Runs a launch whose attempts end with these problems, on a computer that stands still for so many s."""

    def run(problems, worst_s, stolen=0.0):
        class Seen(Stillness):
            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.worst_s, self.stolen = worst_s, stolen

        attempts = iter(problems)

        def attempt(self, name, variables):
            assert not list(self.folder.iterdir()), "what an attempt left is in the way of the next"
            (self.folder / "bag").mkdir()
            (self.folder / "bag" / "events.jsonl").write_text("{}\n")
            return next(attempts)

        monkeypatch.setattr(launch_test_run, "Stillness", Seen)
        monkeypatch.setattr(LaunchTestRun, "_problem", attempt)
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        LaunchTestRun({}, folder)("tracking")
        assert next(attempts, None) is None, "not every attempt was made"

    return run


def test_one_that_passes_is_run_once(launches):
    launches([""], worst_s=9.0)


def test_one_that_fails_is_a_failure_with_its_reason(launches):
    with pytest.raises(AssertionError, match="test_1: fell"):
        launches(["test_1: fell"], worst_s=0.09, stolen=0.1)


@pytest.mark.parametrize("worst_s, stolen", [(0.3, 0.0), (0.0, 0.4)])
def test_one_that_fails_while_the_computer_stands_still_is_tried_again_and_then_skipped(launches, worst_s, stolen):
    launches(["test_1: fell", ""], worst_s, stolen)
    with pytest.raises(pytest.skip.Exception, match=f"stood still for {worst_s:.2f} s and lost {stolen:.0%}"):
        launches(["test_1: fell", "test_1: fell"], worst_s, stolen)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/stat")
def test_stillness_is_measured():
    with Stillness() as stillness:
        pass
    assert 0.0 <= stillness.worst_s < 60.0 and 0.0 <= stillness.stolen <= 1.0
