"""Policies as the runtime runs them: ONNX inference and the tracker on top of it."""
