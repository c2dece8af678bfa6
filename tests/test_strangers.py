"""What strangers hand over beside pictures and models: files that are none, text that a terminal would obey, and what
is said where memory is short."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livestyle import StyleLibrary, Stylizer
from livestyle.bench.report import Report
from livestyle.cli.main import _WithOptions
from livestyle.engine.forms import form_cache, remembered_speedup
from livestyle.engine.network_file import check_network
from livestyle.errors import LivestyleError, OutputError
from livestyle.files import open_archive, open_regular, parse_json, read_regular
from livestyle.jobs.progress import shown_display
from livestyle.jobs.report import Plan, Result, print_json
from livestyle.jobs.resume import SegmentStore
from livestyle.live.settings import load_settings
from livestyle.memory import free_bytes, is_memory_error
from livestyle.render.renderer import Renderer
from livestyle.styles.presets import PresetFolder
from livestyle.text import escaped
from tests.program import IDENTITY, livestyle

posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices have no names there")


def make(path: Path, kind: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(40 << 30)


def read_segments(path: Path) -> None:
    store = SegmentStore(path, {"source": 1})
    # Of a run without a complete segment nothing is read.
    (store.folder / "00000.packets").touch()
    store.resume()


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "settings": ("settings.toml", lambda _: load_settings()),
    "presets": ("a.livestyle", lambda path: PresetFolder(path.parent / "mine").read_file(path)),
    "report": ("a.json", Report.read),
    "network": ("a.onnx", check_network),
    "job": (".out.mp4.livestyle/job.json", lambda path: read_segments(path.parents[1] / "out.mp4")),
}


@posix
@pytest.mark.parametrize("kind", ["pipe", "device", "40 GiB"])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, kind: str
) -> None:
    name, read = READERS[reader]
    make(tmp_path / name, kind)
    monkeypatch.setenv("LIVESTYLE_SETTINGS", str(tmp_path / "settings.toml"))
    with pytest.raises(LivestyleError, match=f"{kind}|is damaged|larger than 200 MiB"):
        read(tmp_path / name)


@posix
@pytest.mark.parametrize("kind", ["pipe", "device", "40 GiB"])
def test_caches_that_are_no_files_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, identity: Stylizer, image_path: Path
) -> None:
    monkeypatch.setenv("LIVESTYLE_CACHE", str(tmp_path / "cache"))
    make(form_cache(), kind)
    assert remembered_speedup("anything") is None
    library = StyleLibrary(identity, tmp_path / "styles")
    library.from_image(image_path)
    (entry,) = (tmp_path / "styles").glob("*.f32")
    entry.unlink()
    make(entry, kind)
    assert np.isfinite(library.from_image(image_path).stats.values).all()


@pytest.mark.parametrize(
    ("is_file", "words"),
    [
        (False, "1 style picture encoded; from now on the cache has them"),
        (True, "1 style picture encoded; the cache cannot be written, so they will be encoded again: name a folder in"),
    ],
)
def test_what_is_said_of_the_cache_is_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_path: Path, is_file: bool, words: str
) -> None:
    monkeypatch.setenv("LIVESTYLE_CACHE", str(tmp_path / "cache"))
    if is_file:
        (tmp_path / "cache").touch()
    line = ("image", image_path, "-o", tmp_path / "out.png", "--style", image_path, "--model", IDENTITY)
    result = livestyle(*line)
    assert result.returncode == 0
    assert words in result.stderr
    assert ("encoded" in livestyle(*line, "--force").stderr) is is_file


@pytest.mark.parametrize(
    "text", ["[" * 99_999, '{"k": NaN}', '{"k": 1e999}', '{"k": -3}', '{"k": "1"}', "[1]", "1" * 5000]
)
def test_a_form_that_was_not_measured_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("LIVESTYLE_CACHE", str(tmp_path))
    form_cache().write_text(text)
    assert remembered_speedup("k") in (None, 1.0)


@posix
def test_a_pipe_that_takes_a_files_place_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    before = (tmp_path / "file").stat()
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(os, "stat", lambda _: before)
    with pytest.raises(OSError, match="it is a pipe and no file"):
        open_regular(tmp_path / "pipe")


def test_a_file_that_grows_is_read_to_its_limit_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(100))
    real = os.stat

    class Small:
        def __init__(self, file: int | Path) -> None:
            self.st_mode, self.st_size = real(file).st_mode, 10

    monkeypatch.setattr(os, "fstat", Small)
    monkeypatch.setattr(os, "stat", Small)
    with pytest.raises(OSError, match="it has more than 50 bytes"):
        read_regular(path, 50)
    assert read_regular(path, 100) == bytes(100)


def test_json_that_is_nested_too_deeply_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 99_999)


def test_an_archive_of_too_many_members_is_not_listed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.livestyle", "w") as archive:
        for number in range(3000):
            archive.writestr(f"{number}", b"")
    with pytest.raises(zipfile.BadZipFile), open_archive(tmp_path / "a.livestyle", 1 << 20, 2):
        pass
    with pytest.raises(LivestyleError, match="is no file of presets, or damaged"):
        PresetFolder(tmp_path / "mine").read_file(tmp_path / "a.livestyle")


@pytest.fixture
def store(tmp_path: Path) -> SegmentStore:
    """A store of one complete segment without packets."""
    store = SegmentStore(tmp_path / "out.mp4", {"source": 1})
    store.prepare()
    store.begin()
    store.finish({"frames_since": np.array(0), "values": np.zeros(6, np.float32)})
    return store


def test_a_snapshot_is_restored(store: SegmentStore, identity: Stylizer) -> None:
    store.restore(Renderer(identity))


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def claiming(shape: str) -> bytes:
    """A snapshot whose header says another shape than its bytes have."""
    good = npz(values=np.zeros(6, np.float32))
    return good.replace(b"(6,), }" + b" " * (len(shape) - 4), shape.encode() + b", }")


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", npz()[:-1], npz(values=np.zeros(6)), npz(values=np.zeros((6, 6), np.float32)), npz(last=np.zeros(3)),
     npz(frames_since=np.array(0.5)), npz(mean=np.array([None, "x"])), claiming("(999999999999,)")],
)  # fmt: skip
def test_a_snapshot_of_other_arrays_is_damaged(store: SegmentStore, identity: Stylizer, data: bytes) -> None:
    (store.folder / "00000.npz").write_bytes(data)
    with pytest.raises(OutputError, match=r"cannot be resumed, since .* is damaged"):
        store.restore(Renderer(identity))


@pytest.mark.parametrize("data", [npz(mean=np.array([None, "x"])), claiming("(999999999999,)")])
def test_an_array_that_says_it_is_larger_than_its_file_is_not_begun_with(
    store: SegmentStore, identity: Stylizer, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store.folder / "00000.npz").write_bytes(data)
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("it was reached"))
    with pytest.raises(OutputError, match="is damaged"):
        store.restore(Renderer(identity))


def test_a_packet_that_says_it_is_long_is_damaged(store: SegmentStore) -> None:
    header = b"\0" * 24 + b"\xff\xff\xff\xff" + b"\1"
    (store.folder / "00000.packets").write_bytes(header + bytes(10))
    with pytest.raises(OutputError, match="is damaged"):
        list(store.packets(0))


EVIL = "a\x1b[31m\u202egnp\x07\nb\x9b2J\u2028"
SAFE = r"a\x1b[31m\u202egnp\x07\nb\x9b2J\u2028"


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert escaped(EVIL) == SAFE
    assert escaped(LivestyleError("bad\udcff\r")) == r"bad\udcff\r"
    assert escaped("Große Welle, 北斎, \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645, 👩\u200d🎨, a\u00a0b") == (
        "Große Welle, 北斎, \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645, 👩\u200d🎨, a\u00a0b"
    )


def is_safe(text: str) -> bool:
    return all(line == escaped(line) for line in text.splitlines())


@posix
@pytest.mark.parametrize(
    "arguments",
    [
        ("image", "NAME.png", "-o", "o.png", "--style", "dusk"),
        ("image", "in.png", "-o", "NAME.png", "--style", "dusk"),
        ("image", "in.png", "-o", "o.png", "--style", "NAME"),
        ("image", "in.png", "-o", "o.png", "--style", "NAME.png"),
        ("image", "in.png", "-o", "o.png", "--style", "dusk", "--mask", "NAME.gif"),
        ("image", "NAME.txt", "-o", "o.png", "--style", "dusk"),
        ("image", "in.png", "-o", "o.png", "--model", "NAME"),
        ("video", "NAME.txt", "-o", "o.mp4", "--style", "dusk"),
        ("video", "NAME.txt", "-o", "o.mp4", "--style", "dusk", "--json"),
        ("styles", "add", "NAME.png"),
        ("styles", "import", "NAME.livestyle"),
        ("styles", "remove", "NAME"),
        ("styles", "preview", "NAME.png", "-o", "o.png", "--style", "dusk"),
        ("bench", "--compare", "NAME.json", "NAME.json"),
        ("cameras", "NAME.png"),
    ],
)
def test_names_of_strangers_are_shown_escaped(
    tmp_path: Path, image_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    # As the program's own: the log too is for a terminal.
    monkeypatch.setattr(logging, "Formatter", _WithOptions)
    evil = EVIL.replace("\u2028", "")
    for name in ("in.png", f"{evil}.png"):
        (tmp_path / name).write_bytes(image_path.read_bytes())
    (tmp_path / f"{evil}.txt").write_text("nothing")
    words = [argument.replace("NAME", evil) for argument in arguments]
    if words[0] in ("image", "video") and "--model" not in words:
        words += ["--model", str(IDENTITY), "--device", "cpu"]
    result = livestyle(*words, cwd=tmp_path, env={"LIVESTYLE_PRESETS": str(tmp_path / "mine")})
    assert result.stdout or result.stderr
    assert is_safe(result.stdout)
    assert is_safe(result.stderr)


def test_results_and_plans_are_shown_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    done = Result(Path(EVIL), Path(EVIL), EVIL, 1, 1, 1, 1.0, notes=(EVIL,))
    plan = Plan(Path(EVIL), Path(EVIL), EVIL, 1, 1, 1, 1.0, notes=(EVIL,), kept=(EVIL,), left_out=(EVIL,))
    assert str(done).startswith(f"{SAFE}: 1x1")
    assert is_safe(str(done))
    assert len(str(plan).splitlines()) == 4
    assert is_safe(str(plan))
    print_json(done)
    line = capsys.readouterr().out
    assert is_safe(line)
    assert json.loads(line)["path"] == EVIL


def test_the_log_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("livestyle", logging.WARNING, "", 0, "%s", (EVIL,), None)
    assert _WithOptions("%(levelname)s: %(message)s").format(record) == f"WARNING: {SAFE}"


def test_labels_of_bars_are_escaped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with shown_display(True) as display, display.bar(EVIL, 1, "frames") as advance:
        advance()
    assert is_safe(capsys.readouterr().err)


SHORT = [
    MemoryError(),
    np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype(float)),  # type: ignore[attr-defined]
    cv2.error("OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 12 bytes"),
    RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc"),
    OSError(12, "Cannot allocate memory"),
]


@pytest.mark.parametrize("error", SHORT, ids=lambda error: type(error).__name__)
def test_every_library_says_in_its_own_words_that_memory_is_short(error: Exception) -> None:
    assert is_memory_error(error)
    outer = ValueError("something else")
    outer.__cause__ = error
    assert is_memory_error(outer)
    assert not is_memory_error(ValueError("something else"))


@pytest.mark.parametrize("error", SHORT[:3], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        ("livestyle.media.images.reading.decoded", ("image", "in.png", "-o", "o.png", "--mask", "in.png")),
        ("livestyle.styles.library.decode_reduced", ("image", "in.png", "-o", "o.png", "--style", "in.png")),
        ("livestyle.engine.style.resize", ("image", "in.png", "-o", "o.png", "--style", "in.png")),
        ("livestyle.jobs.image.read_picture", ("image", "in.png", "-o", "o.png")),
        ("livestyle.engine.model.checksum", ("image", "in.png", "-o", "o.png")),
        ("livestyle.live.app.open_session", ("webcam", "--camera", "in.png", "--no-window", "--serve", "0")),
    ],
)
def test_where_memory_is_short_a_sentence_says_so(
    tmp_path: Path,
    image_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    arguments: tuple[str, ...],
    error: Exception,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(place, fail)
    (tmp_path / "in.png").write_bytes(image_path.read_bytes())
    cache = {"LIVESTYLE_CACHE": str(tmp_path / "cache"), "LIVESTYLE_SETTINGS": str(tmp_path / "none.toml")}
    result = livestyle(*arguments, "--model", IDENTITY, "--device", "cpu", cwd=tmp_path, env=cache)
    assert result.returncode == 1
    assert "not enough memory" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "o.png").exists()


def test_the_least_of_all_limits_of_memory_counts(tmp_path: Path) -> None:
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    proc.mkdir()
    cgroups.mkdir()
    (proc / "meminfo").write_text("MemTotal:  8000 kB\nMemAvailable:  4000 kB\n")
    assert free_bytes(proc, cgroups) == 4000 << 10
    (cgroups / "memory.max").write_text("max\n")
    assert free_bytes(proc, cgroups) == 4000 << 10
    (cgroups / "memory.max").write_text("1000000\n")
    (cgroups / "memory.current").write_text("900000\n")
    (cgroups / "memory.stat").write_text("anon 1\ninactive_file 50000\n")
    assert free_bytes(proc, cgroups) == 150_000
    assert free_bytes(tmp_path / "none", tmp_path / "none") is None
