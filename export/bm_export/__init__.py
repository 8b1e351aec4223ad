"""Torch checkpoints to self-describing ONNX bundles."""
