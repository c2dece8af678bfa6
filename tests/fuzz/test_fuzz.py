"""Every reader takes what it is for, and refuses all else in a sentence: the corpus always, mutations in test-all."""

from __future__ import annotations

import os
from math import inf
from pathlib import Path

import pytest

from .__main__ import CORPUS, inputs, run_plain
from .readers import READERS, check

SECONDS = float(os.environ.get("LIVESTYLE_FUZZ_SECONDS", "4"))
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
def test_a_reader_refuses_what_is_mutated(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(name)
    monkeypatch.chdir(tmp_path)
    # So many on the slowest machine.
    run_plain(name, 101, inf)
    run_plain(name, 10**9, SECONDS, seed=1)


def test_the_corpus_is_small_and_of_readers_that_there_are() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} <= set(READERS)
    assert sum(path.stat().st_size for path in files) < 200_000
