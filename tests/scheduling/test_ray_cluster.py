"""Workers of a Ray cluster: two nodes on this machine, each of one CPU."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import numpy as np
import pytest

from livestyle.errors import InputError
from livestyle.scheduling.ray_cluster import RayCluster
from livestyle.scheduling.scheduler import Place, WorkerError
from tests.batches import H264, lavfi, names
from tests.ffmpeg import Make, packets, streams, times
from tests.program import IDENTITY, livestyle

SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:duration=4"]


def identify(shared: str, task: int, place: Place) -> tuple[str, int, str]:
    import ray

    place.report(task)
    return shared, task, ray.get_runtime_context().get_node_id()


def fail(_shared: Any, _task: Any, _place: Place) -> None:
    raise InputError("no such film")


def die_once(shared: str, task: int, _place: Place) -> int:
    mark = Path(shared)
    if task == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Nodes of one machine: the token that nodes of a real cluster share is not what is tested.
        patch.setenv("RAY_AUTH_MODE", "disabled")
        from ray.cluster_utils import Cluster

        found: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        found.add_node(num_cpus=1)
        patch.setenv("RAY_ADDRESS", found.address)
        yield found
        found.shutdown()


@pytest.fixture
def workers(cluster: Any) -> Iterator[RayCluster]:
    with RayCluster("auto", "cpu") as found:
        yield found


def run(workers: RayCluster, work: Any, shared: Any, tasks: list[Any]) -> list[Any]:
    return sorted(workers.run(work, shared, list(enumerate(tasks)), lambda *_: None, Event()))


def test_tasks_run_on_both_nodes(workers: RayCluster) -> None:
    assert (workers.workers, workers.threads) == (2, 1)
    found = run(workers, identify, "all", list(range(8)))
    assert [(key, shared, task) for key, (shared, task, _) in found] == [(n, "all", n) for n in range(8)]


def test_an_error_of_the_work_is_passed_on(workers: RayCluster) -> None:
    with pytest.raises(InputError, match="no such film"):
        run(workers, fail, None, [1])


def test_the_task_of_a_worker_that_died_is_done_by_another(workers: RayCluster, tmp_path: Path) -> None:
    assert run(workers, die_once, str(tmp_path / "mark"), [0, 1, 2]) == [(0, 0), (1, 1), (2, 2)]


def test_the_tasks_of_a_node_that_died_are_done_by_others(cluster: Any, workers: RayCluster, tmp_path: Path) -> None:
    node = cluster.add_node(num_cpus=1)
    results = workers.run(identify, "x", [(n, n) for n in range(12)], lambda *_: None, Event())
    found = [next(results)[0]]
    cluster.remove_node(node, allow_graceful=False)
    found += [key for key, _ in results]
    assert sorted(found) == list(range(12))


def test_a_film_is_painted_by_the_cluster(cluster: Any, make: Make, tmp_path: Path) -> None:
    source = make("film.mp4", *lavfi(700, "100"), *SOUND, *H264, "-g", "50", "-c:a", "aac", "-shortest")
    target, alone = tmp_path / "out.mp4", tmp_path / "alone.mp4"
    done = livestyle("video", source, "-o", target, "--model", IDENTITY, "--ray", "auto", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    livestyle("video", source, "-o", alone, "--model", IDENTITY, "--device", "cpu")
    assert times(target) == times(alone)
    assert [p["pts"] for p in packets(target, "a")] == [p["pts"] for p in packets(alone, "a")]
    assert [s["codec_name"] for s in streams(target, "v")] == ["h264"]
    assert names(tmp_path) == ["alone.mp4", "film.mp4", "out.mp4"]


def test_pieces_wait_in_a_bucket(cluster: Any, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        bucket = boto3.client("s3")
        bucket.create_bucket(Bucket="films")
        source = make("film.mp4", *lavfi(60), *H264)
        # The workers of a cluster that runs already have its environment, and not this one: so one of its own.
        done = livestyle(
            "video", source, "-o", tmp_path / "out.mp4", "--model", IDENTITY, "--ray", "local",
            "--ray-storage", "s3://films/pieces", "--device", "cpu",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert len(packets(tmp_path / "out.mp4")) == 60
        assert bucket.list_objects_v2(Bucket="films").get("KeyCount") == 0
    finally:
        server.stop()


def test_pictures_are_painted_by_the_cluster(cluster: Any, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((80, 90, 3), 40 * number, np.uint8))
    done = livestyle("image", folder, "-o", tmp_path / "out", "--model", IDENTITY, "--ray", "auto", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert names(tmp_path / "out") == [f"{number}.png" for number in range(4)]


def test_no_cluster_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorkerError, match=r"auto, local or ray://HOST:PORT, not 'here'"):
        RayCluster("here")
