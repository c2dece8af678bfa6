"""A crowd of strangers at a port of this machine: readers that never read, half requests, silence, garbage.

    python -m tests.soak.crowd PORT

Whoever is dropped comes again. It says "here" when all have called once, and ends with its standard input. Linux alone.
"""

from __future__ import annotations

import os
import random
import select
import socket
import sys
import threading
import time

NEVER_READING = 500
OTHERS = 100
"""Of each other kind."""
STREAM = b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nHost: loc"


def call(port: int, data: bytes) -> socket.socket | None:
    """A connection on which this was said; None where nobody answered."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(2)
    try:
        connection.connect(("127.0.0.1", port))
        connection.sendall(data)
    except OSError:
        connection.close()
        return None
    return connection


def main() -> None:
    """The command line."""
    # Strangers have machines of their own.
    os.nice(19)
    port, done, dice = int(sys.argv[1]), threading.Event(), random.Random(1)

    def wait_for_the_end() -> None:
        sys.stdin.read()
        done.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    waiting = [STREAM] * NEVER_READING + [b"", HALF] * OTHERS + [dice.randbytes(4000) for _ in range(OTHERS)]
    dice.shuffle(waiting)
    there: dict[int, tuple[socket.socket, bytes]] = {}
    watch = select.poll()
    calls, last = 0, 0.0
    while not done.is_set():
        again = []
        for data in waiting:
            calls += 1
            if (connection := call(port, data)) is None:
                again.append(data)
                continue
            there[connection.fileno()] = (connection, data)
            # That it is hung up on, and nothing else.
            watch.register(connection, select.POLLRDHUP)
        waiting = again
        if not last:
            print("here", flush=True)
        last = time.monotonic()
        time.sleep(0.5)
        for number, _ in watch.poll(0):
            watch.unregister(number)
            connection, data = there.pop(number)
            connection.close()
            waiting.append(data)
    print(calls, flush=True)


if __name__ == "__main__":
    main()
