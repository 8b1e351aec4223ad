"""Policy bundles and motion files, damaged byte by byte and thing by thing, through their readers."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bm_core.bundle import CONTRACT_KEY, PRODUCER, Bundle, bundle_metadata
from bm_core.data import shipped
from bm_core.errors import BmError
from bm_core.motion import load_clip
from bm_core.onnx_file import read_onnx
from bm_sim2real.fuzzing.report import FuzzReport
from bm_sim2real.process_signals import temporary_folder

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**18, -(10**18), 1e308, -1e-308, 0.5, "", "x", "nan", "left_knee_joint", [], {},
    [0.0], [None], [[1.0]], {"name": "x"}, "\u0000", "é" * 1000,
)  # fmt: skip
_NUMBERS = (np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0, 4.0, -4.0)
_CELLS = ("", "x", "nan", "inf", "-inf", "1e999", "--1", "1;2", '"', "0x10", "é", "1e3")


def fuzz_bundles(count: int, seed: int = 0) -> FuzzReport:
    """The shipped tracker's contract and trace around a small network: `Bundle.read` accepts or says what is wrong."""
    metadata, graph = _bundle_parts()
    return _fuzz("bundles", count, seed, lambda rng: _mutated_bundle(metadata, graph, rng), ".onnx", Bundle.read)


def fuzz_motions(count: int, seed: int = 0) -> FuzzReport:
    """A piece of the shipped walk as each kind of file: `load_clip` accepts or says what is wrong."""
    arrays, rows = _motion_parts()
    report = FuzzReport(target="motions", seed=seed)
    csv = count // 4
    for part, suffix, make in (
        (count - csv, ".npz", lambda rng: _mutated_npz(arrays, rng)),
        (csv, ".csv", lambda rng: _mutated_csv(rows, rng)),
    ):
        found = _fuzz("motions", part, seed, make, suffix, lambda path: load_clip(path, fps=50.0, quat="xyzw"))
        report.tried += found.tried
        report.accepted += found.accepted
        report.refused += found.refused
        report.findings += found.findings
        report.first += found.first
        for name, number in found.answers.items():
            report.answers[name] = report.answers.get(name, 0) + number
    return report


def _fuzz(
    target: str,
    count: int,
    seed: int,
    make: Callable[[np.random.Generator], bytes],
    suffix: str,
    read: Callable[[Path], object],
) -> FuzzReport:
    report = FuzzReport(target=target, seed=seed)
    with temporary_folder() as folder:
        path = folder / f"mutated{suffix}"
        for index in range(count):
            path.write_bytes(make(np.random.default_rng((seed, index))))
            report.tried += 1
            try:
                with np.errstate(all="ignore"):
                    read(path)
            except BmError as error:
                report.answer(type(error).__name__)
            except Exception as error:  # a reader that is surprised
                report.find(index, f"{suffix}: {type(error).__name__}: {error}")
            else:
                report.accepted += 1
    return report


def mutate_document(document: Any, rng: np.random.Generator) -> Any:
    """A JSON document with one thing changed: missing, of another type, too long, too short, or with a new name."""
    document = copy.deepcopy(document)
    parent, key = _place(document, rng)
    kind = rng.integers(6)
    if kind == 0:
        del parent[key]
    elif kind in (1, 2):
        parent[key] = copy.deepcopy(_VALUES[rng.integers(len(_VALUES))])
    elif kind == 3 and isinstance(parent[key], list) and parent[key]:
        values = parent[key]
        parent[key] = values[: rng.integers(len(values))] if rng.random() < 0.5 else values + [values[0]]
    elif kind == 4 and isinstance(parent, dict):
        parent[f"{key}_"] = parent.pop(key)
    elif isinstance(parent[key], (int, float)) and not isinstance(parent[key], bool):
        parent[key] = parent[key] * float(rng.choice([-1.0, 0.0, 1e6, 1.001]))
    else:
        parent[key] = [parent[key]]
    return document


def mutate_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut, flipped, overwritten or with something in between."""
    mutated = bytearray(data)
    kind = rng.integers(4)
    if kind == 0:
        return bytes(mutated[: rng.integers(len(mutated))])
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(len(mutated)))
        if kind == 1:
            mutated[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            mutated[at : at + 8] = rng.bytes(8)
        else:
            mutated[at:at] = rng.bytes(int(rng.integers(1, 40)))
    return bytes(mutated)


def _place(document: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Some container inside the document, and a key of it."""
    here, steps = document, int(rng.integers(1, 5))
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = keys[int(rng.integers(len(keys)))]
        steps -= 1
        below = here[key]
        if steps <= 0 or not isinstance(below, (dict, list)) or not below:
            return here, key
        here = below


def _bundle_parts() -> tuple[dict[str, str], bytes]:
    """Metadata that fits, and the model without it."""
    from onnx import TensorProto, helper, numpy_helper

    shipped_bundle = Bundle.read(shipped("policies", "g1_tracker.onnx"))
    contract = shipped_bundle.contract
    size = contract.observation_dim
    weight = numpy_helper.from_array(np.zeros((size, 29), dtype=np.float32), "w")
    names = shipped_bundle.observation_input.name, shipped_bundle.action_output.name
    sides = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n])
        for name, n in zip(names, (size, 29), strict=True)
    ]
    # The operators of a normaliser, which a bundle that promises one must have.
    nodes = [
        helper.make_node("Sub", [names[0], "zero"], ["centred"]),
        helper.make_node("Div", ["centred", "one"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "w"], [names[1]]),
    ]
    constants = [numpy_helper.from_array(np.float32(value), name) for value, name in ((0.0, "zero"), (1.0, "one"))]
    graph = helper.make_graph(nodes, "tiny", sides[:1], sides[1:], [weight, *constants])
    model = helper.make_model(graph, producer_name=PRODUCER, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    with temporary_folder() as folder:
        path = folder / "tiny.onnx"
        path.write_bytes(model.SerializeToString())
        sha256 = read_onnx(path).graph_sha256
    assert shipped_bundle.trace is not None
    return bundle_metadata(contract, sha256, shipped_bundle.trace, 1e-4), model.SerializeToString()


def _mutated_bundle(metadata: dict[str, str], graph: bytes, rng: np.random.Generator) -> bytes:
    entries = dict(metadata)
    kind = rng.integers(4)
    if kind == 0:
        document = mutate_document(json.loads(entries[CONTRACT_KEY]), rng)
        entries[CONTRACT_KEY] = json.dumps(document)
    elif kind == 1:
        key = list(entries)[rng.integers(len(entries))]
        if rng.random() < 0.5:
            del entries[key]
        else:
            text = mutate_bytes(entries[key].encode(), rng) if entries[key] else b"x"
            entries[key] = text.decode(errors="replace")
    data = graph + b"".join(_metadata_entry(key, value) for key, value in entries.items())
    return data if kind < 2 else mutate_bytes(data, rng)


def _metadata_entry(key: str, value: str) -> bytes:
    """One StringStringEntryProto as field 14 of a ModelProto."""
    body = b"".join(_field(number, text.encode()) for number, text in ((1, key), (2, value)))
    return _field(14, body)


def _field(number: int, data: bytes) -> bytes:
    head, length = bytes([number << 3 | 2]), len(data)
    while length > 0x7F:
        head += bytes([length & 0x7F | 0x80])
        length >>= 7
    return head + bytes([length]) + data


def _motion_parts() -> tuple[dict[str, Any], list[list[str]]]:
    """The arrays of our own format, and the rows of a CSV file, of a fifth of a second of walking."""
    with np.load(shipped("motions", "walk.npz"), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    frames = len(arrays["joint_pos"])
    arrays = {name: a[:10] if a.ndim and len(a) == frames else a for name, a in arrays.items()}
    clip = load_clip(shipped("motions", "walk.npz"))
    numbers = np.concatenate([clip.root_pos, clip.root_quat[:, [1, 2, 3, 0]], clip.joint_pos], axis=1)[:10]
    return arrays, [[f"{x:.5f}" for x in row] for row in numbers]


def _mutated_npz(arrays: dict[str, Any], rng: np.random.Generator) -> bytes:
    changed = dict(arrays)
    name = list(changed)[rng.integers(len(changed))]
    kind = rng.integers(8)
    if kind == 0:
        del changed[name]
    elif kind == 1:
        changed[f"{name}_"] = changed.pop(name)
    elif kind == 2:
        changed[name] = np.array(_VALUES[rng.integers(len(_VALUES))], dtype=object)
    elif kind == 3:
        changed[name] = changed[name].T if rng.random() < 0.5 else changed[name][None]
    elif kind == 4:
        changed[name] = np.array(changed[name])[..., : rng.integers(0, 3)] if changed[name].ndim else np.zeros(3)
    elif kind == 5:
        changed[name] = (
            changed[name].astype(rng.choice(["U8", "i4", "c8", "f2", "S3", "?"]))
            if _is_numeric(changed[name])
            else np.zeros(2)
        )
    elif kind == 6 and _is_numeric(changed[name]) and changed[name].size:
        values = np.array(changed[name], dtype=np.float64)
        values.flat[rng.integers(values.size)] = rng.choice(_NUMBERS)
        changed[name] = values
    file = io.BytesIO()
    np.savez(file, **changed)
    return mutate_bytes(file.getvalue(), rng) if kind >= 7 or rng.random() < 0.1 else file.getvalue()


def _is_numeric(array: Any) -> bool:
    return np.issubdtype(np.asarray(array).dtype, np.number)


def _mutated_csv(rows: list[list[str]], rng: np.random.Generator) -> bytes:
    changed = [list(row) for row in rows]
    for _ in range(int(rng.integers(1, 4))):
        row = changed[rng.integers(len(changed))]
        kind = rng.integers(5)
        if kind == 0 and row:
            row[rng.integers(len(row))] = str(rng.choice(_CELLS))
        elif kind == 1 and row:
            row[rng.integers(len(row))] = repr(float(rng.choice(_NUMBERS)))
        elif kind == 2 and row:
            del row[rng.integers(len(row)) :]
        elif kind == 3:
            row += ["0.0"] * int(rng.integers(1, 4))
        else:
            changed.insert(int(rng.integers(len(changed))), [])
    data = "\n".join(",".join(row) for row in changed).encode()
    return mutate_bytes(data, rng) if rng.random() < 0.2 and data else data
