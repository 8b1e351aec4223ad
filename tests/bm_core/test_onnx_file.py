"""The small protobuf reader against the onnx package."""

import hashlib

import onnx
import pytest
from tiny_bundle import network, save

from bm_core.errors import BundleError
from bm_core.onnx_file import read_onnx


def test_reads_what_the_onnx_package_wrote(tmp_path):
    model = network(7, extra_input=True)
    path = save(model, {"a": "1,2", "key": "ü" * 300}, tmp_path / "x.onnx")
    seen = read_onnx(path)
    assert (seen.ir_version, seen.opset, seen.producer) == (8, 17, "beyondmimic-g1")
    assert seen.metadata == {"a": "1,2", "key": "ü" * 300}
    assert seen.graph_sha256 == hashlib.sha256(onnx.load(path).graph.SerializeToString()).hexdigest()
    assert [(t.name, t.shape, t.is_float32) for t in seen.inputs] == [
        ("obs", (None, 7), True),
        ("time_step", (1, 1), True),
    ]
    assert [(t.name, t.shape) for t in seen.outputs] == [("actions", (None, 29))]


def test_initializers_listed_as_inputs_are_not_inputs(tmp_path):
    model = network(7)
    model.graph.input.append(onnx.helper.make_tensor_value_info("w0", onnx.TensorProto.FLOAT, [7, 16]))
    assert [t.name for t in read_onnx(save(model, {}, tmp_path / "x.onnx")).inputs] == ["obs"]


def test_every_truncation_inside_the_graph_is_noticed(tmp_path):
    whole = save(network(7), {}, tmp_path / "x.onnx").read_bytes()
    graph_end = whole.index(network(7).graph.SerializeToString()) + len(network(7).graph.SerializeToString())
    cut = tmp_path / "cut.onnx"
    for length in range(0, graph_end, 97):
        cut.write_bytes(whole[:length])
        with pytest.raises(BundleError, match="cut.onnx: not a whole .onnx file"):
            read_onnx(cut)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not onnx at all", b"\xff" * 40, b"<html>404</html>"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match="not a whole .onnx file"):
        read_onnx(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BundleError, match="nothing.onnx: cannot be read: No such file"):
        read_onnx(tmp_path / "nothing.onnx")
