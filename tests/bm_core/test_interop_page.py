"""The reference of the bundle format in docs/interop.md is that of the code: same keys, same order, same types."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from bm_core.bundle import CONTRACT_KEY, EXTRA_KEYS, NORMALISER_KEY, PRECISION_KEY, Precision
from bm_core.contract import ActionSpec, Contract, Training
from bm_core.data import shipped
from bm_core.foreign_bundle import wbt_metadata
from bm_core.golden_trace import GoldenTrace
from bm_core.observation_terms import FOREIGN_TERM_DIMS, TERM_DIMS, ObservationTerm
from bm_core.onnx_file import read_onnx
from bm_core.strict_json import parse_object
from bm_core.trace_check import OBSERVATION_TOLERANCE, TORQUE_TOLERANCE

PAGE = (Path(__file__).parents[2] / "docs" / "interop.md").read_text()
TABLES = {
    match[1]: re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", match[2].replace("\\|", "¦"), re.MULTILINE)
    for match in re.finditer(r"<!-- contract: (\w+) -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
}


@pytest.mark.parametrize("kind", [Contract, ActionSpec, ObservationTerm, Training, GoldenTrace])
def test_the_table_has_the_fields_of_the_code(kind):
    fields = [(field.name, str(field.type).replace("|", "¦")) for field in dataclasses.fields(kind)]
    assert TABLES[kind.__name__] == fields


def test_every_key_of_the_metadata_is_on_the_page():
    model = read_onnx(shipped("policies", "g1_tracker.onnx"))
    own = {CONTRACT_KEY, NORMALISER_KEY, PRECISION_KEY, *EXTRA_KEYS, *(f.name for f in dataclasses.fields(Precision))}
    contract = parse_object(model.metadata[CONTRACT_KEY], "contract")
    for key in own | set(model.metadata) | set(contract):
        assert f"`{key}`" in PAGE, key


def test_the_keys_of_other_stacks_are_those_that_are_written():
    from test_bundle import tiny_contract

    row = next(line for line in PAGE.splitlines() if line.startswith("| `run_path`"))
    assert re.findall(r"`(\w+)`", row) == list(wbt_metadata(tiny_contract()))


def test_the_terms_and_their_sizes_are_those_of_the_code():
    known = {**TERM_DIMS, "projected_gravity": FOREIGN_TERM_DIMS["projected_gravity"]}
    sentence = PAGE[PAGE.index("Terms that are known") : PAGE.index("also under the names")]
    assert {name: int(dim) for name, dim in re.findall(r"`(\w+)`\s+(\d+)", sentence)} == known


def test_the_tolerances_are_those_of_the_code():
    assert f"within {OBSERVATION_TOLERANCE:g}, `trace_tolerance` and {TORQUE_TOLERANCE:g}".replace(
        "0.0001", "1e-4"
    ).replace("1e-05", "1e-5") in PAGE.replace("\n", " ")


def test_the_five_lines_read_the_shipped_policy(capsys, monkeypatch):
    pytest.importorskip("onnx")
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    exec(code.replace("policy.onnx", str(shipped("policies", "g1_tracker.onnx"))), {})
    assert "(51, 271)" in capsys.readouterr().out
    assert np.isfinite(OBSERVATION_TOLERANCE)
