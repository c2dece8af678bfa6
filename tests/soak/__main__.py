"""Long runs, each with a plot of memory, threads, handles and frame times.

    python -m tests.soak styles --switches 10000 --minutes 60
    python -m tests.soak camera --times 500 --minutes 60
    python -m tests.soak films --count 2000
    python -m tests.soak film --frames 200000
    python -m tests.soak serve --phases 5 --seconds 30
    python -m tests.soak kill --times 200
    python -m tests.soak.latency --minutes 10

Each prints a line. ``kill`` ends with 1 where a film came out otherwise than an undisturbed one. The others write
``soak-NAME.png`` into ``--folder``, and end with 1 where memory grew by more than 2 % after the first minute, or
threads or handles grew. Linux alone: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from .films import film, films
from .kill import kill
from .live import camera, styles
from .meter import Meter
from .serve import serve


def main() -> int:
    """Exit code of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(), help="of the plots")
    parser.add_argument("--warm", type=float, default=60, help="seconds that do not count")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, count, number in (("styles", "--switches", 10_000), ("camera", "--times", 500)):
        own = verbs.add_parser(verb)
        own.add_argument(count, dest="count", type=int, default=number)
        own.add_argument("--minutes", type=float, default=60)
    verbs.add_parser("films").add_argument("--count", type=int, default=2000)
    own = verbs.add_parser("film")
    own.add_argument("--frames", dest="count", type=int, default=200_000)
    own.add_argument("--suffix", default=".mkv", help="of the result; of MP4, the index grows in memory")
    own = verbs.add_parser("serve")
    own.add_argument("--phases", dest="count", type=int, default=5)
    own.add_argument("--seconds", type=float, default=30)
    killing = verbs.add_parser("kill")
    killing.add_argument("--times", type=int, default=200)
    killing.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.verb == "kill":
        return 0 if kill(asked.times, asked.seed) else 1
    meter = Meter(f"python -m tests.soak {' '.join(sys.argv[1:])}", asked.warm)
    count, complete = asked.count, True
    # Not the user's cache, which would fill with the styles of the test.
    with tempfile.TemporaryDirectory() as cache:
        os.environ["LIVESTYLE_CACHE"] = cache
        match asked.verb:
            case "styles":
                styles(meter, count, 60 * asked.minutes)
            case "camera":
                camera(meter, count, 60 * asked.minutes)
            case "films":
                complete = films(meter, count) == count
            case "film":
                complete = film(meter, count, asked.suffix) == count
            case "serve":
                complete = serve(meter, count, asked.seconds)
    flat, line = meter.verdict()
    print(f"{asked.verb}, {count}: {line}{'' if complete else '; NOT AS IT SHOULD BE'}", flush=True)
    meter.plot(asked.folder / f"soak-{asked.verb}.png")
    return 0 if flat and complete else 1


if __name__ == "__main__":
    sys.exit(main())
