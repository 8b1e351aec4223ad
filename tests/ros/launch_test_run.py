"""Runs a launch_testing file in a process of its own and reports each of its cases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from bm_sim2real.robots.unitree.dds import TAG_VARIABLE

HERE = Path(__file__).resolve().parent
_ENDS_AFTER_S = 600.0
_STOPS_AFTER_S = 30.0


@dataclass(frozen=True)
class LaunchTestRun:
    """`environment`: with ROS 2 and the workspace sourced; `folder`: where the test may write."""

    environment: dict[str, str]
    folder: Path

    def __call__(self, name: str, **variables: str) -> None:
        """AssertionError with the cases that failed and the end of the launch's output. `variables`: environment."""
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
        assert not failed and process.returncode == 0, "\n".join([*failed, "", "output of the launch:", tail])


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
