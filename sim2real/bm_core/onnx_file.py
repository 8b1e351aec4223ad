"""Reads what a bundle needs from an .onnx file without the onnx package: metadata, graph bytes, inputs and outputs.

An .onnx file is one protobuf message. Only its outer fields are walked; the weights are skipped by their lengths, so a
truncated file is noticed at once. Field numbers: onnx.proto, IR version 3 and up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bm_core.errors import BundleError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_FLOAT = 1
"""TensorProto.FLOAT"""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output of the graph."""

    name: str
    element_type: int
    """TensorProto.DataType; 1 is float32."""
    shape: tuple[int | None, ...]
    """None where the size is free."""

    @property
    def is_float32(self) -> bool:
        return self.element_type == _FLOAT


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """The outer facts of one model file."""

    ir_version: int
    opset: int
    """Of the default operator domain."""
    producer: str
    metadata: dict[str, str] = field(repr=False)
    graph_sha256: str
    """Of the serialized graph: weights and structure, not the metadata."""
    inputs: tuple[Tensor, ...]
    """Without initializers, which old exporters list as inputs, too."""
    outputs: tuple[Tensor, ...]
    operators: frozenset[str] = field(default=frozenset(), repr=False)
    """Kinds of the graph's nodes."""


def read_onnx(path: str | Path) -> OnnxFile:
    """Read a model file. BundleError if it is missing, truncated or no ONNX model."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return _model(memoryview(data))
    except _Malformed as error:
        raise BundleError(f"{path}: not a whole .onnx file ({error}); copy or export it again") from error


class _Malformed(Exception):
    """The bytes are not a protobuf message of the expected kind."""


def _model(data: memoryview) -> OnnxFile:
    ir_version, opset, producer = 0, 0, ""
    graph: memoryview | None = None
    metadata: dict[str, str] = {}
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            ir_version = value
        elif number == 2:
            producer = _text(value)
        elif number == 7:
            graph = _message(value)
        elif number == 8:
            domain, version = _opset(_message(value))
            opset = version if domain in ("", "ai.onnx") else opset
        elif number == 14:
            key, text = _entry(_message(value))
            if key in metadata:
                raise _Malformed(f"metadata key '{key}' is given twice")
            metadata[key] = text
    if graph is None or not ir_version or not opset:
        missing = "graph" if graph is None else "IR version" if not ir_version else "opset"
        raise _Malformed(f"no {missing} in its {len(data)} bytes")
    inputs, outputs, operators = _interface(graph)
    return OnnxFile(
        ir_version=ir_version,
        opset=opset,
        producer=producer,
        metadata=metadata,
        graph_sha256=hashlib.sha256(graph).hexdigest(),
        inputs=inputs,
        outputs=outputs,
        operators=operators,
    )


def _interface(graph: memoryview) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], frozenset[str]]:
    operators: set[str] = set()
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    initializers: set[str] = set()
    for number, value in _fields(graph):
        if number == 1:
            operators.update(_text(name) for field, name in _fields(_message(value)) if field == 4)
        elif number == 5:
            initializers.update(_text(name) for field, name in _fields(_message(value)) if field == 8)
        elif number == 11:
            inputs.append(_tensor(_message(value)))
        elif number == 12:
            outputs.append(_tensor(_message(value)))
    taken = tuple(tensor for tensor in inputs if tensor.name not in initializers)
    return taken, tuple(outputs), frozenset(operators)


def _tensor(value_info: memoryview) -> Tensor:
    """ValueInfoProto: name = 1, type = 2 -> TypeProto.tensor_type = 1 -> elem_type = 1, shape = 2 -> dim = 1."""
    name, element_type, shape = "", 0, []
    for number, value in _fields(value_info):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for kind, tensor_type in _fields(_message(value)):
                if kind != 1:
                    continue
                for field, content in _fields(_message(tensor_type)):
                    if field == 1 and isinstance(content, int):
                        element_type = content
                    elif field == 2:
                        shape = [_dim(_message(dim)) for part, dim in _fields(_message(content)) if part == 1]
    return Tensor(name=name, element_type=element_type, shape=tuple(shape))


def _dim(dimension: memoryview) -> int | None:
    sizes = [value for number, value in _fields(dimension) if number == 1 and isinstance(value, int)]
    return sizes[0] if sizes else None


def _opset(message: memoryview) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in _fields(message):
        if number == 1:
            domain = _text(value)
        elif number == 2 and isinstance(value, int):
            version = value
    return domain, version


def _entry(message: memoryview) -> tuple[str, str]:
    key, text = "", ""
    for number, value in _fields(message):
        if number == 1:
            key = _text(value)
        elif number == 2:
            text = _text(value)
    return key, text


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of one message; a varint as int, everything else as its bytes."""
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == _BYTES:
            length, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise _Malformed(f"no protobuf field at byte {position}")
        if number == 0 or length > end - position:
            raise _Malformed(f"{length} bytes announced at byte {position}, {end - position} are there")
        yield number, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise _Malformed(f"ends inside a number at byte {position}")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _Malformed(f"no number at byte {position}")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _Malformed("a number where a message belongs")
    return value


def _text(value: int | memoryview) -> str:
    try:
        return str(_message(value), "utf-8")
    except UnicodeDecodeError as error:
        raise _Malformed("a text that is not UTF-8") from error
