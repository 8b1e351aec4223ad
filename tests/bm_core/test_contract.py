"""The contract's JSON is exact and strict."""

import json
import math

import pytest
from tiny_bundle import tiny_contract

from bm_core.contract import Contract
from bm_core.errors import BundleError


def edited(**changes) -> str:
    return json.dumps(json.loads(tiny_contract().to_json()) | changes)


def test_json_returns_the_same_contract_to_the_last_bit():
    contract = tiny_contract()
    again = Contract.from_json(contract.to_json())
    assert again == contract
    # 0.25 effort / kp; three decimals would give 0.075 for the wrist.
    assert math.isclose(again.action.scale[-1], 0.07450, abs_tol=1e-5)
    assert again.to_json() == contract.to_json()


REFUSALS = [
    ({"schema_version": 2}, r"schema_version 2 is newer than this program's 1; update"),
    ({"schema_version": "1"}, r"schema_version is '1', 1 expected"),
    ({"kind": "diffusion"}, r"kind is 'diffusion'"),
    ({"colour": "red"}, r"unknown key 'colour'"),
    ({"control_dt": "0.02"}, r"contract.control_dt: a finite number expected, found '0.02'"),
    ({"control_dt": True}, r"contract.control_dt: a finite number expected, found True"),
    ({"first_frame": 1.0}, r"contract.first_frame: an integer expected, found 1.0"),
    ({"stiffness": 40.0}, r"contract.stiffness: a list expected"),
    ({"damping": [1.0, None]}, r"contract.damping\[1\]: a finite number expected, found None"),
    ({"training": {"commit": "a"}}, r"contract.training: key 'motion_set' is missing"),
    ({"observations": [{"name": "actions", "dim": 29}]}, r"contract.observations\[0\]: key 'history' is missing"),
]


@pytest.mark.parametrize(
    "changes, message", REFUSALS, ids=[str(next(iter(c))) + str(i) for i, (c, _) in enumerate(REFUSALS)]
)
def test_bad_documents_are_refused_by_name(changes, message):
    with pytest.raises(BundleError, match=message):
        Contract.from_json(edited(**changes))


@pytest.mark.parametrize("key", json.loads(tiny_contract().to_json()))
def test_every_key_is_needed(key):
    document = json.loads(tiny_contract().to_json())
    del document[key]
    with pytest.raises(BundleError, match=key):
        Contract.from_json(json.dumps(document))


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "not JSON"),
        ("[]", "a JSON object expected, found a list"),
        ('{"schema_version": NaN}', "NaN"),
        ('{"kind": 1, "kind": 2}', "'kind' is given twice"),
    ],
)
def test_broken_json_is_refused(text, message):
    with pytest.raises(BundleError, match=message):
        Contract.from_json(text)
