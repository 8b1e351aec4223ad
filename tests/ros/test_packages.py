"""The packages' own tests, as a ROS user runs them: `colcon test`."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from ros_install import WORKSPACE, colcon, skip_without_ros

skip_without_ros()
pytestmark = pytest.mark.slow

PACKAGES = ("bm_bringup", "bm_description", "bm_g1_bridge", "bm_guidance", "bm_policy")


def test_colcon_test_passes_in_every_python_package(ros_environment: dict[str, str]):
    colcon(ros_environment, "test", "--return-code-on-test-failure")
    for package in PACKAGES:
        suites = list(ElementTree.parse(WORKSPACE / "build" / package / "pytest.xml").getroot().iter("testsuite"))
        assert sum(int(suite.get("tests", 0)) for suite in suites) > 0, package
