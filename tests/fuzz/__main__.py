"""Fuzz a reader: ``python -m tests.fuzz READER [--runs N] [--seconds S] [--corpus DIR]``.

With atheris (in the extra ``dev`` on Linux) it is guided by coverage, and what finds new paths is
kept in ``--corpus``; without, or with ``--plain``, valid input and the corpus are mutated at random. What fails is
written to ``crash-...`` in this folder, and goes into a test of the reader once it is understood: the committed corpus
has nothing that crashes outside software.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
import time
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
"""Small inputs of each reader that reach what seeds alone do not."""
MEMORY = Path("/dev/shm")
"""Folder in memory, where there is one: most readers read files."""
LONGEST = 4096
"""Bytes of an input."""
_WORDS = (
    b"\0",
    b"\xff\xff\xff\xff",
    b"1e999",
    b"NaN",
    b"[[[[",
    b"{",
    b"}",
    b'"',
    b"-1",
    b"9" * 40,
    b"\x1b[31m",
    b"PK\5\6",
)


def inputs(name: str) -> list[bytes]:
    """Valid input of a reader, and its committed corpus."""
    from .readers import READERS

    kept = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    return [*READERS[name].seeds(), *kept]


def mutated(data: bytes, pool: list[bytes], source: random.Random) -> bytes:
    """Input with some of its bytes changed, taken out, doubled, or replaced by those of another."""
    out = bytearray(data)
    for _ in range(1 << source.randrange(4)):
        at = source.randrange(len(out) + 1)
        end = min(len(out), at + source.choice((1, 2, 4, 16)))
        match source.randrange(6):
            case 0 if at < len(out):
                out[at] ^= 1 << source.randrange(8)
            case 1:
                out[at:end] = source.randbytes(end - at)
            case 2:
                del out[at:end]
            case 3:
                out[at:at] = out[at:end]
            case 4:
                out[at:end] = source.choice(_WORDS)
            case _:
                other = source.choice(pool)
                start = source.randrange(len(other) + 1)
                out[at:] = other[start:]
    return bytes(out[:LONGEST])


def run_plain(name: str, runs: int, seconds: float, seed: int = 0) -> tuple[int, int]:
    """Number of mutated inputs that a reader was given, and how many of them it took; raises what it must not raise."""
    from .readers import check

    source, pool, count, taken = random.Random(seed), inputs(name), 0, 0
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        while count < runs and time.monotonic() < end:
            data = mutated(source.choice(pool), pool, source)
            try:
                is_taken = check(name, data, Path(folder))
            except BaseException:
                path = Path(f"crash-{name}-{hashlib.sha256(data).hexdigest()[:12]}")
                path.write_bytes(data)
                print(f"{path} makes {name} fail", file=sys.stderr)
                raise
            taken += is_taken
            count += 1
            if is_taken and len(pool) < 2000:
                pool.append(data)
    return count, taken


def _check_name(name: str) -> None:
    from .readers import READERS

    if name not in READERS:
        raise SystemExit(f"there is no reader {name}: {', '.join(READERS)}")


def run_guided(name: str, runs: int, seconds: float, corpus: Path | None) -> None:
    """Fuzz with atheris, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["livestyle", "train", "zipfile", "tomllib", "json"]):
        from .readers import check
    _check_name(name)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        found = corpus or Path(folder, "found")
        found.mkdir(parents=True, exist_ok=True)
        seeds = Path(folder, "seeds")
        seeds.mkdir()
        for number, data in enumerate(inputs(name)):
            (seeds / str(number)).write_bytes(data)
        work = Path(folder, "work")
        work.mkdir()
        options = [
            *(f"-runs={runs}", f"-max_total_time={int(seconds)}", f"-max_len={LONGEST}"),
            *("-timeout=20", "-rss_limit_mb=3000", f"-artifact_prefix=crash-{name}-", "-print_final_stats=1"),
        ]
        atheris.Setup([sys.argv[0], *options, str(found), str(seeds)], lambda data: check(name, data, work) and None)
        atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    # The names of the readers are looked at later: what is imported before atheris is not instrumented.
    parser.add_argument("reader")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=86_400)
    parser.add_argument("--corpus", type=Path, help="Folder of what finds new paths, kept from run to run.")
    parser.add_argument("--plain", action="store_true", help="Do without atheris.")
    parser.add_argument("--seed", type=int, default=0, help="Of the random numbers without atheris.")
    arguments = parser.parse_args()
    plain = arguments.plain
    if not plain:
        try:
            import atheris  # noqa: F401
        except ImportError:
            print("without atheris: mutations at random", file=sys.stderr)
            plain = True
    if not plain:
        run_guided(arguments.reader, arguments.runs, arguments.seconds, arguments.corpus)
        return
    _check_name(arguments.reader)
    count, taken = run_plain(arguments.reader, arguments.runs, arguments.seconds, arguments.seed)
    print(f"{arguments.reader}: {count} inputs, {taken} of them taken, nothing but errors of the library's own")


if __name__ == "__main__":
    main()
