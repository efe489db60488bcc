"""Fits on disk: settings as JSON, tensors as safetensors, checksums of both."""
