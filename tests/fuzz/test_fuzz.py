"""Every reader takes what it is for, and refuses all else in a sentence: the corpus always, a minute in test-all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .__main__ import CORPUS, inputs
from .readers import READERS, check

SECONDS = os.environ.get("LIVESTYLE_FUZZ_SECONDS", "60")
"""Of each reader."""


def needs(name: str) -> None:
    if name == "checkpoint":
        pytest.importorskip("torch")


@pytest.mark.parametrize("name", READERS)
def test_a_reader_takes_its_seeds_and_survives_its_corpus(name: str, tmp_path: Path) -> None:
    needs(name)
    taken = [check(name, data, tmp_path) for data in READERS[name].seeds()]
    # The decoder's stand-in refuses all animations.
    assert all(taken) or name == "animation"
    for data in inputs(name):
        check(name, data, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_reader_refuses_what_is_mutated(name: str, tmp_path: Path) -> None:
    needs(name)
    # Atheris, which `make test-all` has on Linux, ends its process, and instruments what has not been imported.
    line = [sys.executable, "-m", "tests.fuzz", name, "--seconds", SECONDS]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run(line, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == 0, f"{tmp_path}: {result.stdout[-4000:].decode()}"


def test_the_corpus_is_small_and_of_readers_that_there_are() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} <= set(READERS)
    assert sum(path.stat().st_size for path in files) < 200_000
