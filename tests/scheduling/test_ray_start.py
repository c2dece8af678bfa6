"""A cluster as people begin it: two ``ray start``, and a film whose driver is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.batches import H264, lavfi, names
from tests.ffmpeg import Make, packets

RAY = [str(Path(sys.executable).with_name("ray"))]
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def addresses() -> Iterator[tuple[str, str]]:
    """Of the cluster, and of its server for clients."""
    environment = os.environ | ENVIRONMENT
    port, client = free_port(), free_port()
    head = ["start", "--head", "--num-cpus=1", f"--port={port}", f"--ray-client-server-port={client}"]
    try:
        for arguments in (
            [*head, "--include-dashboard=false"],
            ["start", f"--address=127.0.0.1:{port}", "--num-cpus=1"],
        ):
            subprocess.run([*RAY, *arguments], check=True, env=environment, capture_output=True)
        yield f"127.0.0.1:{port}", f"ray://127.0.0.1:{client}"
    finally:
        subprocess.run([*RAY, "stop", "--force"], check=False, env=environment, capture_output=True)


def begin(source: Path, target: Path, ray: str, address: str, *more: str) -> subprocess.Popen[str]:
    environment = os.environ | ENVIRONMENT | {"RAY_ADDRESS": address}
    command = [sys.executable, "-m", "livestyle", "video", str(source), "-o", str(target), "--ray", ray, *more]
    return subprocess.Popen(
        [*command, "--device", "cpu"], env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_client_of_the_cluster_paints_a_film(addresses: tuple[str, str], make: Make, tmp_path: Path) -> None:
    source = make("film.mp4", *lavfi(60), *H264)
    program = begin(source, tmp_path / "out.mp4", addresses[1], addresses[0])
    _, err = program.communicate(timeout=300)
    assert program.returncode == 0, err
    assert len(packets(tmp_path / "out.mp4")) == 60


def test_a_film_whose_driver_was_killed_goes_on(addresses: tuple[str, str], make: Make, tmp_path: Path) -> None:
    source, target = make("film.mp4", *lavfi(4000, "100"), *H264, "-g", "50"), tmp_path / "out.mp4"
    program = begin(source, target, "auto", addresses[0])
    store = tmp_path / ".out.mp4.livestyle"
    deadline = time.monotonic() + 300
    while not (store.is_dir() and list(store.glob("*.packets"))):
        assert program.poll() is None, program.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    program.send_signal(signal.SIGKILL)
    program.communicate()
    kept = len(list(store.glob("*.packets")))
    assert 0 < kept < 4

    again = begin(source, target, "auto", addresses[0], "--resume", "--json")
    out, err = again.communicate(timeout=300)

    assert again.returncode == 0, err
    assert '"resumed_frames": 0' not in out
    assert len(packets(target)) == 4000
    assert names(tmp_path) == ["film.mp4", "out.mp4"]
