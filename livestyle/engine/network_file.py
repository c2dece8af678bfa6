"""Metadata of an ONNX file, read before onnxruntime runs it: the files it takes data from, and its operators.

The runtime does without the package ``onnx``. This walks the fields of the protobuf message that matter and skips all
others, so that neither memory nor time depends on the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from livestyle.errors import ModelError
from livestyle.files import read_regular

MOST_BYTES = 2 << 30
"""Size limit of a network, that of protobuf."""
MOST_NODES = 100_000
_DEEPEST = 32
"""Levels of graphs within operators."""
UNBOUNDED = ("Loop", "Scan")
"""Operators whose time depends on numbers in the network, or on its inputs, alone."""

_GRAPH, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE, _FUNCTION, _TRAINING, _ENTRY = range(8)
_INSIDE: dict[int, dict[int, int]] = {
    # ModelProto is no part of any other message.
    -1: {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
    _TENSOR: {13: _ENTRY},
}
"""Fields of ONNX's messages that hold other ones, by their numbers."""
_OPERATOR = 4
"""Field of a node."""
GIVEN = "given-to-the-session"
"""Name of the external data of the constant form, which is in no file: sessions get it from memory."""


def check_network(path: Path) -> None:
    """Raise a `ModelError` for a network that takes data from outside its folder, or is no network that can be run.

    Args:
        path: of the ONNX file.
    """
    folder = path.parent.resolve()
    for name in NetworkFile.read(path).locations - {GIVEN}:
        outside = f"{path} takes data from {name[:100]!r}, which is no file of its folder: do not use it"
        try:
            # A symbolic link may lead out of it, and a pipe would never end.
            if (folder / name).resolve().parent != folder or not (folder / name).is_file():
                raise ModelError(outside)
        except (OSError, ValueError) as error:
            raise ModelError(outside) from error


@dataclass
class NetworkFile:
    """Metadata of a network.

    Attributes:
        locations: names of the files that hold its external data.
        operators: its operators, those of graphs within operators too.
    """

    locations: set[str] = field(default_factory=set)
    operators: set[str] = field(default_factory=set)
    _nodes: int = 0

    @classmethod
    def read(cls, path: Path) -> NetworkFile:
        """Metadata of the network in a file.

        Raises:
            ModelError: it is no such file, too large, or has operators of unbounded time.
        """
        try:
            data = read_regular(path, MOST_BYTES)
        except OSError as error:
            raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
        return cls.parse(data, path)

    @classmethod
    def parse(cls, data: bytes, path: Path) -> NetworkFile:
        """As `read`, from bytes; ``path`` is for the error's text."""
        found = cls()
        try:
            found._walk(memoryview(data), -1, 0)
        except ValueError as error:
            raise ModelError(f"{path} is no network that onnxruntime can run ({error}): copy it again") from error
        if unbounded := found.operators.intersection(UNBOUNDED):
            raise ModelError(f"{path} has {' and '.join(sorted(unbounded))}, and may take for ever: do not use it")
        return found

    def _walk(self, data: memoryview, kind: int, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        if kind == _NODE:
            self._nodes += 1
            if self._nodes > MOST_NODES:
                raise ValueError(f"it has more than {MOST_NODES} operators")
        inside = _INSIDE.get(kind, {})
        for number, value in _fields(data):
            if number in inside:
                if inside[number] == _ENTRY:
                    self._take_entry(value)
                else:
                    self._walk(value, inside[number], depth + 1)
            elif kind == _NODE and number == _OPERATOR:
                self.operators.add(bytes(value).decode("utf-8", "replace"))

    def _take_entry(self, data: memoryview) -> None:
        """Take a pair of key and value of a tensor's external data."""
        pair = {number: bytes(value).decode("utf-8", "surrogateescape") for number, value in _fields(data)}
        if pair.get(1) == "location":
            self.locations.add(pair.get(2, ""))


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a protobuf message that have a length: number and content; others are skipped.

    Raises:
        ValueError: it is no such message.
    """
    at, end = 0, len(data)

    def number() -> int:
        nonlocal at
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise ValueError("it is cut off")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("it is damaged")

    while at < end:
        key = number()
        kind = key & 7
        if kind == 0:
            number()
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            size = number()
            if size > end - at:
                raise ValueError("it is cut off")
            yield key >> 3, data[at : at + size]
            at += size
        else:
            raise ValueError("it is damaged")
    if at > end:
        raise ValueError("it is cut off")
