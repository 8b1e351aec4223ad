"""Shipped data: one place is asked, in the order BM_DATA, installed share, source tree, and a miss says where."""

import pytest

from bm_core import data
from bm_core.errors import ConfigError


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Three places with a policies folder each: `chosen` (for BM_DATA), `share` (of bm_bringup) and `source`."""
    roots = {
        "chosen": tmp_path / "chosen",
        "share": tmp_path / "ros" / "share" / "bm_bringup",
        "source": tmp_path / "source",
    }
    for name, root in roots.items():
        (root / "policies").mkdir(parents=True)
        (root / "policies" / "tracker.onnx").write_text(name)
    monkeypatch.delenv("BM_DATA", raising=False)
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(data, "_SOURCE_TREE", roots["source"])
    return roots


def test_source_tree_is_used_when_nothing_else_is_there(places):
    assert data.shipped("policies", "tracker.onnx").read_text() == "source"


def test_installed_share_comes_before_the_source_tree(places, monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{places['share'].parents[1]}")
    assert data.shipped("policies", "tracker.onnx").read_text() == "share"


def test_share_without_this_kind_of_data_is_passed_over(places, monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(places["share"].parents[1]))
    (places["source"] / "motions").mkdir()
    assert data.shipped("motions") == places["source"] / "motions"


def test_bm_data_comes_first(places, monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(places["share"].parents[1]))
    monkeypatch.setenv("BM_DATA", str(places["chosen"]))
    assert data.shipped("policies", "tracker.onnx").read_text() == "chosen"


def test_file_missing_in_bm_data_is_not_taken_from_elsewhere(places, monkeypatch):
    monkeypatch.setenv("BM_DATA", str(places["chosen"]))
    (places["chosen"] / "policies" / "tracker.onnx").rename(places["chosen"] / "policies" / "other.onnx")
    with pytest.raises(ConfigError, match=r"chosen/policies/tracker\.onnx: no such file; .* holds other\.onnx$"):
        data.shipped("policies", "tracker.onnx")


def test_bm_data_that_leads_nowhere_is_named(places, monkeypatch):
    monkeypatch.setenv("BM_DATA", "/nowhere")
    with pytest.raises(ConfigError, match="BM_DATA=/nowhere: has no folder policies"):
        data.shipped("policies", "tracker.onnx")


def test_nothing_found_lists_what_was_searched(places):
    with pytest.raises(ConfigError, match=r"shipped motions \(searched .*/source\); set BM_DATA"):
        data.shipped("motions")


def test_this_checkout_has_both_folders():
    assert data.shipped("policies").is_dir()
    assert data.shipped("motions").is_dir()
