"""Runs a launch_testing file in a process of its own and reports each of its cases.

A robot falls on a computer that stands still, and is right to. So a launch that failed is judged only if no core stood
still meanwhile; otherwise it is tried again, and then skipped with what was measured.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import pytest
from stillness import Stillness

from bm_sim2real.robots.unitree.dds import TAG_VARIABLE

HERE = Path(__file__).resolve().parent
_ENDS_AFTER_S = 600.0
_STOPS_AFTER_S = 30.0
_MOST_STILL_S, _MOST_STOLEN = 0.15, 0.2
"""What no computer does that can control a robot: a core stands still for so long, above the priority of everything
else; a hypervisor gives such a share of a second to others."""
_ATTEMPTS = 2


@dataclass(frozen=True)
class LaunchTestRun:
    """`environment`: with ROS 2 and the workspace sourced; `folder`: where the test may write."""

    environment: dict[str, str]
    folder: Path

    def __call__(self, name: str, **variables: str) -> None:
        """AssertionError with the cases that failed and the end of the launch's output. `variables`: environment."""
        seen = []
        for _ in range(_ATTEMPTS):
            with Stillness() as stillness:
                problem = self._problem(name, variables)
            if not problem:
                return
            assert stillness.worst_s >= _MOST_STILL_S or stillness.stolen >= _MOST_STOLEN, problem
            seen.append(str(stillness))
            for left in self.folder.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        pytest.skip(f"{name}: in the midst of it this computer {'; then it '.join(seen)}")

    def _problem(self, name: str, variables: dict[str, str]) -> str:
        """Runs it once; empty if all is well."""
        report, output = self.folder / "report.xml", self.folder / "launch.log"
        path = os.pathsep.join([str(HERE), self.environment["PYTHONPATH"]])
        # Not installed as a script everywhere, so by module; unbuffered, or a killed process takes its lines along.
        code = "import sys; from launch_testing.launch_test import main; sys.exit(main())"
        command = [sys.executable, "-u", "-c", code, str(HERE / "launches" / f"{name}.py"), "--junit-xml", str(report)]
        environment = {
            **self.environment,
            "PYTHONPATH": path,
            "BM_TEST_FOLDER": str(self.folder),
            TAG_VARIABLE: f"ros-{os.getpid()}-{self.folder.name}",
            "OMP_NUM_THREADS": "1",
            **variables,
        }
        with output.open("w") as file:
            process = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
            _wait(process)
        failed = _failures(report) if report.exists() else ["the launch test wrote no report"]
        tail = "\n".join(output.read_text(errors="replace").splitlines()[-80:])
        if not failed and process.returncode == 0:
            return ""
        return "\n".join([*failed, "", "output of the launch:", tail])


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Until it ends; past the limit with SIGINT to its group, as Ctrl-C does, then SIGKILL."""
    for sign, seconds in ((None, _ENDS_AFTER_S), (signal.SIGINT, _STOPS_AFTER_S), (signal.SIGKILL, None)):
        if sign is not None:
            os.killpg(process.pid, sign)
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            continue


def _failures(report: Path) -> list[str]:
    cases = ElementTree.parse(report).getroot().iter("testcase")
    return [
        f"{case.get('name')}: {(problem.get('message') or problem.text or '').strip()}"
        for case in cases
        for problem in [*case.findall("failure"), *case.findall("error")]
    ]
