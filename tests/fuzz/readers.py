"""The readers that are fuzzed: each takes any bytes, and raises nothing but the library's own errors.

Guards alone: where bytes go on to a decoder or a network of outside software, a stand-in takes them.
"""

from __future__ import annotations

import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from livestyle import Model, Style, StyleStats
from livestyle.bench.report import Report
from livestyle.engine.forms import remembered_speedup
from livestyle.engine.model import MANIFEST, PRESETS, Manifest
from livestyle.engine.network_file import NetworkFile
from livestyle.errors import LivestyleError, StyleError
from livestyle.jobs.frame_rate import parse_rate
from livestyle.jobs.resume import SegmentStore
from livestyle.limits import exact
from livestyle.live.settings import load_settings
from livestyle.media.capture.kinds import check_source
from livestyle.media.capture.playlist import variants
from livestyle.media.capture.splitter import ImageSplitter
from livestyle.media.images.headers import stated_size
from livestyle.media.images.metadata import Metadata, parse_exif
from livestyle.media.images.opening import Purpose, is_eager, is_known
from livestyle.media.images.writing import carried_metadata
from livestyle.media.resize import parse_size
from livestyle.media.sinks.mjpeg_server import parse_address
from livestyle.media.video.animation import is_animated, read_plays, read_webp
from livestyle.media.video.boxes import is_mirrored, spherical_box
from livestyle.media.video.stdio import parse_raw
from livestyle.render.renderer import Renderer
from livestyle.styles import presets
from livestyle.styles.presets import PresetFolder
from livestyle.styles.timeline import parse_time, read_styles
from livestyle.text import escaped
from tests.program import IDENTITY


@dataclass(frozen=True)
class Reader:
    """A reader that is fuzzed.

    Attributes:
        read: takes bytes, and a folder of its own for files.
        seeds: valid input to begin with.
    """

    read: Callable[[bytes, Path], object]
    seeds: Callable[[], list[bytes]]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _model_folder(folder: Path) -> Path:
    copy = folder / "model"
    if not copy.is_dir():
        shutil.copytree(IDENTITY, copy)
    return copy


def _manifest(data: bytes, folder: Path) -> None:
    copy = _model_folder(folder)
    (copy / MANIFEST).write_bytes(data)
    escaped(Model.load(copy).manifest.name)


def _presets(data: bytes, folder: Path) -> None:
    path = folder / PRESETS
    path.write_bytes(data)
    found = Model(folder, _manifest_of_identity()).presets()
    assert all(values.shape == (6,) and np.isfinite(values).all() for values in found.values())


@cache
def _manifest_of_identity() -> Manifest:
    return Model.load(IDENTITY).manifest


def _pack(data: bytes, folder: Path) -> None:
    path = folder / "a.livestyle"
    path.write_bytes(data)

    def decode(png: bytes, _: Path) -> np.ndarray:
        width, height = struct.unpack_from(">II", png, 16)
        assert 0 < width <= 1024
        assert 0 < height <= 1024
        return np.zeros((64, 64, 3), np.uint8)

    with patch.object(presets, "decode_image", decode), patch.object(PresetFolder, "_write", lambda *_: folder):
        PresetFolder(folder / "mine").read_file(path)


def _pack_seeds() -> list[bytes]:
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0)
    found = []
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as archive:
            archive.writestr("presets.json", '{"format": "livestyle presets", "version": 1, "names": ["a", "b"]}')
            archive.writestr("1.png", png + struct.pack(">I", zlib.crc32(png[12:])))
            archive.writestr("2.png", png)
        found.append(file.getvalue())
    return found


def _settings(data: bytes, folder: Path) -> None:
    path = folder / "settings.toml"
    path.write_bytes(data)
    log = SimpleNamespace(warning=lambda text, *values: text % values)
    with patch("livestyle.live.settings.settings_path", lambda: path), patch("livestyle.live.settings.log", log):
        load_settings()


def _resume(data: bytes, folder: Path) -> None:
    store = SegmentStore(folder / "out.mp4", {"source": [1, 2], "style": "a"})
    store.folder.mkdir(exist_ok=True)
    for name in ("job.json", "00000.packets", "00000.npz"):
        (store.folder / name).unlink(missing_ok=True)
    kind, data = data[:1], data[1:]
    good = '{"source": [1, 2], "style": "a"}'
    (store.folder / "job.json").write_bytes(data if kind == b"j" else good.encode())
    (store.folder / "00000.packets").write_bytes(data if kind == b"p" else b"")
    store.resume()
    if kind == b"n":
        store.finished = 1
        (store.folder / "00000.npz").write_bytes(data)
        store.restore(Renderer(SimpleNamespace()))  # type: ignore[arg-type]


def _resume_seeds() -> list[bytes]:
    file = io.BytesIO()
    arrays: dict[str, Any] = {"frames_since": np.array(0), "values": np.zeros(6, np.float32), "sparse": np.array(True)}
    np.savez(file, **arrays)
    packet = struct.pack("<qqqI?", 1, 1, 1, 3, True) + b"abc"
    return [b"j" + b'{"source": [1, 2], "style": "a", "more": 1.5}', b"p" + packet * 2, b"n" + file.getvalue()]


class _Library:
    """A library of one preset, which looks at no file."""

    def find(self, text: str) -> list[Style]:
        if text.partition(":")[0] not in ("a", "b"):
            raise StyleError("there is no style")
        return [Style(text, StyleStats(np.ones(6, np.float32)))]


def _timeline(data: bytes, _: Path) -> None:
    library: Any = _Library()
    with patch("livestyle.styles.timeline.existing_path", lambda _: None):
        (first, *_rest) = read_styles(library, _text(data))
    first.stats_at(3)


def _picture(data: bytes, _: Path) -> None:
    size = stated_size(data)
    is_known(data[:32], Path("a.png"))
    if size is not None:
        Purpose(2**27, 6).check(size, Path("a.png"), is_eager(data))
        assert Purpose(2**27, 6, reduces=True).factor(size) >= 1


def _picture_seeds() -> list[bytes]:
    from PIL import Image

    found = []
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "PPM", "GIF"):
        file = io.BytesIO()
        Image.new("RGB", (5, 3), (200, 100, 50)).save(file, kind)
        found.append(file.getvalue())
    jxl = b"\xff\x0a" + bytes(range(20))
    return [*found, jxl, b"#?RADIANCE\n\n-Y 3 +X 5\n", b"P7\nWIDTH 5\nHEIGHT 3\nENDHDR\n"]


def _metadata(data: bytes, folder: Path) -> None:
    parse_exif(data)
    kept = Metadata(data, data, data, ((_text(data[:9]), _text(data)),), (72, 72)).of_painting(5, 3)
    carried_metadata(folder / "a.jpg", kept, 5, 3)


def _metadata_seeds() -> list[bytes]:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "maker", 72.5
    exif.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"
    return [exif.tobytes().removeprefix(b"Exif\0\0"), b'<rdf tiff:Orientation="6"/>', b"<tiff:Orientation>3</"]


def _network(data: bytes, _: Path) -> None:
    NetworkFile.parse(data, Path("a.onnx"))


def _checkpoint(data: bytes, folder: Path) -> None:
    from train.checkpoints import load_checkpoint

    path = folder / "a.pt"
    path.write_bytes(data)
    load_checkpoint(path)


def _checkpoint_seeds() -> list[bytes]:
    import torch

    file = io.BytesIO()
    torch.save({"format": 1, "arch": "lite", "average": {"a": torch.zeros(2)}, "iteration": 3}, file)
    return [file.getvalue()]


def _report(data: bytes, folder: Path) -> None:
    path = folder / "a.json"
    path.write_bytes(data)
    escaped(Report.read(path).text)


def _report_seeds() -> list[bytes]:
    machine = {"cpu": "a", "instructions": ["avx2"], "cores": 2, "system": "Linux", "load": 0.5}
    times = dict.fromkeys(("p10", "p50", "p90", "p99", "frames_per_second"), 1.5)
    each = dict.fromkeys(("scope", "candidate", "device", "precision", "form", "size"), "a")
    whole = {
        "format": 1,
        **dict.fromkeys(("date", "livestyle", "onnxruntime"), "a"),
        "machine": machine,
        "settings": {"threads": 2, "warm_up": 3, "noise": 2.0},
        "ceilings": {"int8": 3.5},
        "measurements": [{**each, **times, "runs": 3, "peak_mib": None}],
    }
    return [json.dumps(whole).encode()]


def _forms(data: bytes, folder: Path) -> None:
    path = folder / "forms.json"
    path.write_bytes(data)
    with patch("livestyle.engine.forms.form_cache", lambda: path):
        found = remembered_speedup("k")
    assert found is None or 0 < found < 1000


def _animation(data: bytes, folder: Path) -> None:
    path = folder / "a.webp"
    path.write_bytes(data)
    is_animated(path)
    read_plays(path)
    is_mirrored(path)
    spherical_box(path)
    with patch("cv2.imdecodeanimation", lambda _: (False, None)):
        read_webp(path)


def _animation_seeds() -> list[bytes]:
    from PIL import Image

    images = [Image.new("RGB", (5, 3), (shade, 100, 50)) for shade in (0, 200)]
    found = []
    for kind in ("GIF", "WEBP", "PNG"):
        file = io.BytesIO()
        images[0].save(file, kind, save_all=True, append_images=images[1:], duration=20)
        found.append(file.getvalue())

    def box(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content) + 8) + name + content

    track = box(b"tkhd", bytes(84)) + box(b"mdia", box(b"hdlr", bytes(8) + b"vide" + bytes(12)))
    return [*found, box(b"ftyp", b"isom" + bytes(4)) + box(b"moov", box(b"trak", track))]


_PARSERS: tuple[Callable[[str], object], ...] = (
    parse_rate,
    parse_time,
    parse_size,
    parse_raw,
    parse_address,
    check_source,
    presets.check_name,
    exact,
    escaped,
)


def _values(data: bytes, _: Path) -> None:
    if data:
        with suppress(ValueError) if _PARSERS[data[0] % len(_PARSERS)] is exact else nullcontext():
            _PARSERS[data[0] % len(_PARSERS)](_text(data[1:]))


def _streams(data: bytes, _: Path) -> None:
    splitter = ImageSplitter()
    step = max(7, len(data) // 50)
    for start in range(0, len(data), step):
        for image in splitter.feed(data[start : start + step]):
            assert image.startswith((b"\xff\xd8", b"\x89PNG", b"RIFF"))
    variants(_text(data), "http://127.0.0.1/a.m3u8")


READERS: dict[str, Reader] = {
    "manifest": Reader(_manifest, lambda: [(IDENTITY / MANIFEST).read_bytes()]),
    "model-presets": Reader(_presets, lambda: [(IDENTITY / PRESETS).read_bytes()]),
    "pack": Reader(_pack, _pack_seeds),
    "settings": Reader(_settings, lambda: [b'camera = "0"\nfps = 24.0\nmirror = true\nsize = "640x360"\n']),
    "resume": Reader(_resume, _resume_seeds),
    "timeline": Reader(_timeline, lambda: [b"a@0,b@1:02.5,a:0.7,b:0.3@1:00:00", b"a:0.7,b", b"a"]),
    "picture": Reader(_picture, _picture_seeds),
    "metadata": Reader(_metadata, _metadata_seeds),
    "network": Reader(_network, lambda: [(IDENTITY / "style.onnx").read_bytes()]),
    "checkpoint": Reader(_checkpoint, _checkpoint_seeds),
    "report": Reader(_report, _report_seeds),
    "forms": Reader(_forms, lambda: [b'{"k": 1.25, "a CPU": 2}']),
    "animation": Reader(_animation, _animation_seeds),
    "values": Reader(
        _values, lambda: [b"\x0030000/1001", b"\x011:02:03.5", b"\x02640x360", b"\x0364x64@25:rgb24", b"\x040.0.0.0:80",
                          b"\x05rtsp://a:b@c/d", b"\x06Wave 1", b"\x0729.97e1", b"\x08\x1b[31m"]
    ),
    "streams": Reader(_streams, lambda: [
        b"--b\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff\xe0\0\4ab\xff\xda\0\2cd\xff\xd9",
        b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=640x360\na.m3u8\n",
    ]),
}  # fmt: skip
"""By their names on the command line."""


def check(name: str, data: bytes, folder: Path) -> bool:
    """Let a reader take some bytes; whether it took them. What is not an error of the library's own is raised."""
    try:
        READERS[name].read(data, folder)
    except LivestyleError as error:
        if str(error).strip():
            return False
        raise
    return True
