"""What a recording needs to be read years later: the policy's contract and what its numbers mean."""

from __future__ import annotations

from typing import Any

from bm_core.g1 import G1
from bm_core.onnx_file import read_onnx
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.result_json import version


def describe(path: str, policy: TrackerPolicy) -> dict[str, Any]:
    """Plain JSON types. `terms`: where each observation term lies in the vector."""
    contract = policy.contract
    terms, offset = [], 0
    for term in contract.observations:
        terms.append({"name": term.name, "offset": offset, "size": term.size})
        offset += term.size
    return {
        "version": version(),
        "policy": path,
        "graph_sha256": read_onnx(path).graph_sha256,
        "robot": G1.name,
        "terms": terms,
        "contract": contract.as_dict(),
    }
