"""Image files: what is not tested by the jobs that use them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from livestyle.errors import InputError, OutputError
from livestyle.files import atomic_write
from livestyle.media.images import read_image, write_image


def test_a_file_that_cannot_be_written_whole_is_left_as_it_was(tmp_path: Path, demo_frames: list[np.ndarray]) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "image.png"
    write_image(path, demo_frames[0])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*image.png: File too large"):
            write_image(path, demo_frames[1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert np.array_equal(read_image(path), demo_frames[0])
    assert [found.name for found in tmp_path.iterdir()] == ["image.png"]


@pytest.mark.parametrize("durable", [True, False])
def test_an_atomic_write_appears_only_when_it_is_complete(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path, durable=durable) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_atomic_write_leaves_nothing(tmp_path: Path) -> None:
    def stop() -> None:
        with atomic_write(tmp_path / "file") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert list(tmp_path.iterdir()) == []


# The program silences the warnings of Pillow.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_decoders_say_nothing_of_a_damaged_image(
    tmp_path: Path, demo_frames: list[np.ndarray], capfd: pytest.CaptureFixture[str], name: str
) -> None:
    write_image(tmp_path / name, demo_frames[0])
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:600])

    with pytest.raises(InputError, match="is not a picture that can be read"):
        read_image(tmp_path / name)

    assert capfd.readouterr() == ("", "")
