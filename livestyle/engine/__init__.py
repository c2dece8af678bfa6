"""The ONNX networks: style images into style statistics, frames into paintings."""
