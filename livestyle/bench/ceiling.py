"""The machine's own ceiling: how many multiply-accumulates a second it reaches in one large matrix product.

A network can come near to that and not pass it; its share of the ceiling says how much there is left to gain. Both
products run in onnxruntime: on some processors numpy's (OpenBLAS) is slower than the convolutions of a network.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from livestyle.engine.devices import session_options

SIDE = 1024
"""Rows and columns of the matrices: large, but one product is short enough to fit between two other programs."""
SECONDS = 1.0
"""Duration of the measurement."""

_FLOAT, _UINT8, _INT8, _INT32 = 1, 2, 3, 6
_PRODUCTS = {"float32": ("MatMul", _FLOAT, _FLOAT, _FLOAT), "int8": ("MatMulInteger", _UINT8, _INT8, _INT32)}
"""Operator, and ONNX types of its two inputs and its output, by precision."""


def measure_ceiling(
    precision: str, threads: int | None = None, side: int = SIDE, seconds: float = SECONDS
) -> float | None:
    """Best rate of a matrix product on the CPU, in GMAC/s (10^9 multiply-accumulates a second).

    Args:
        precision: ``float32``, or ``int8`` (uint8 times int8, added up in int32); None comes of another.
        threads: None is every core.
        side: of the square matrices.
        seconds: how long to repeat it.
    """
    import onnxruntime as ort

    if precision not in _PRODUCTS:
        return None
    session = ort.InferenceSession(
        _product(side, *_PRODUCTS[precision]), session_options("cpu", threads), ["CPUExecutionProvider"]
    )
    random = np.random.default_rng(0)
    if precision == "float32":
        inputs = {name: random.random((side, side), np.float32) for name in "ab"}
    else:
        inputs = {
            "a": random.integers(0, 256, (side, side), np.uint8),
            "b": random.integers(-128, 128, (side, side), np.int8),
        }
    session.run(None, inputs)
    best, end = float("inf"), perf_counter() + seconds
    while (start := perf_counter()) < end:
        session.run(None, inputs)
        best = min(best, perf_counter() - start)
    return side**3 / best / 1e9


def _product(side: int, operator: str, left: int, right: int, result: int) -> bytes:
    """ONNX model of one product of square matrices, encoded here, as the runtime does without the package ``onnx``.

    The numbers of the fields are those of onnx.proto.
    """

    def tensor(name: str, kind: int) -> bytes:
        """ValueInfoProto."""
        dimension = _field(1, _number(1, side))
        shape = _field(2, dimension + dimension)
        return _field(1, name.encode()) + _field(2, _field(1, _number(1, kind) + shape))

    node = _field(1, b"a") + _field(1, b"b") + _field(2, b"c") + _field(4, operator.encode())
    inputs = _field(11, tensor("a", left)) + _field(11, tensor("b", right))
    graph = _field(1, node) + _field(2, b"ceiling") + inputs + _field(12, tensor("c", result))
    ir_version, opset = _number(1, 8), _field(8, _number(2, 13))
    return ir_version + _field(7, graph) + opset


def _varint(value: int) -> bytes:
    """Protocol Buffers' variable-length integer: 7 bits a byte, the lowest first."""
    head = bytearray()
    while value > 127:
        head.append(value & 127 | 128)
        value >>= 7
    return bytes([*head, value])


def _number(field: int, value: int) -> bytes:
    """Field of a message whose value is an integer."""
    return _varint(field << 3) + _varint(value)


def _field(field: int, value: bytes) -> bytes:
    """Field of a message whose value is text or another message."""
    return _varint(field << 3 | 2) + _varint(len(value)) + value
