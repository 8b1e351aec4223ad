"""Exports of these tests compare torch and ONNX on fewer observations than those of shipped policies."""

import pytest


@pytest.fixture(autouse=True)
def quick_parity(monkeypatch):
    """The thousand observations are for trained networks (test_shipped_networks.py); these are small and random."""
    module = pytest.importorskip("bm_export.tracker", reason="export needs torch: run it in .venv-train")
    monkeypatch.setattr(module, "PARITY_OBSERVATIONS", 100)
