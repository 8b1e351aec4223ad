"""`urdf` as users and launch files call it."""

import sys
import xml.etree.ElementTree as ElementTree

import pytest
from bm_description.urdf_file import main


def test_a_file_is_written(tmp_path, monkeypatch):
    path = tmp_path / "g1.urdf"
    monkeypatch.setattr(sys, "argv", ["urdf", str(path)])
    main()
    joints = [joint for joint in ElementTree.parse(path).getroot().iter("joint") if joint.get("type") == "revolute"]
    assert len(joints) == 29


def test_an_option_is_no_file(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["urdf", "--help"])
    with pytest.raises(SystemExit, match="usage: urdf"):
        main()
