"""The process of `livestyle.doctor.probe.run_apart`: one provider is started in it."""

from __future__ import annotations

import json
import sys

from livestyle.engine.devices import preload_cuda
from livestyle.errors import first_line

from .probe import Answer
from .providers import known_plugins, run_probe, start_plugin


def main(name: str) -> None:
    """Start a provider of onnxruntime or a plug-in, and print its `Answer` or an error as a line of JSON."""
    preload_cuda()
    answer: dict[str, object] = {"error": ""}
    try:
        found = start_plugin(name) if name in known_plugins() else Answer(run_probe(name))
        answer |= found._asdict()
    except Exception as error:
        answer["error"] = first_line(error)
    print(f"\n{json.dumps(answer)}")


if __name__ == "__main__":
    main(sys.argv[1])
