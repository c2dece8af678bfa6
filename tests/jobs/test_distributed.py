"""Videos and images that several workers paint; the schedulers themselves are in tests/scheduling."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import livestyle.jobs.pieces
from livestyle import Look, Style, Stylizer, VideoOptions
from livestyle.engine.model import MANIFEST, Model
from livestyle.errors import InputError
from livestyle.jobs.batch import ImageBatch, VideoBatch
from livestyle.jobs.distributed import Distribution
from livestyle.jobs.pieces import Span, plan_spans
from livestyle.jobs.report import Result
from livestyle.jobs.shelf import Shelf, fetch, unpacked_model
from livestyle.media.mask import Mask
from livestyle.media.video.codecs import Encoding
from livestyle.scheduling.scheduler import WorkerError
from tests.batches import H264, lavfi, names, paint_video
from tests.ffmpeg import Make, ask, damage, packets, pixels, probe, times
from tests.workers import Here

LOSSLESS = Encoding("h264", 0)
SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:duration=3"]


def distribute(
    source: Path,
    target: Path,
    stylizer: Stylizer,
    style: Style,
    *,
    scheduler: Here | None = None,
    options: VideoOptions | None = None,
    piece_frames: int = 20,
    storage: str | None = None,
    **look: Any,
) -> Result:
    workers = Distribution(scheduler or Here(), "cpu", storage, piece_frames=piece_frames)
    batch = VideoBatch([source], target, options)
    return batch.run(stylizer, [Look(style, **look)], distribution=workers)[0]


def paint_both(
    source: Path, stylizer: Stylizer, style: Style, options: VideoOptions | None = None, suffix: str | None = None
) -> tuple[Path, Path]:
    """The results of one machine and of two workers."""
    suffix = suffix or source.suffix
    # Without loss: encoders are not to be compared.
    options = replace(options or VideoOptions(), encoding=LOSSLESS)
    alone, together = source.with_name(f"alone{suffix}"), source.with_name(f"together{suffix}")
    paint_video(source, alone, stylizer, [style], options=options)
    result = distribute(source, together, stylizer, style, options=options)
    assert result.frames == len(packets(alone))
    return alone, together


def assert_alike(alone: Path, together: Path) -> None:
    """The same times, and paintings that differ by what a run-in leaves of the noise reduction at most."""
    assert times(together) == times(alone)
    shown = probe(alone)["streams"][0]
    a, b = (pixels("ffmpeg", path, shown["width"], shown["height"]).astype(int) for path in (alone, together))
    assert a.shape == b.shape
    assert np.abs(a - b).mean() < 0.2


def test_pieces_begin_at_key_frames_near_and_have_a_run_in() -> None:
    spans = plan_spans(1000, keys=[0, 240, 480, 900], length=250, run_in=60)
    assert [(span.begin, span.end) for span in spans] == [(0, 240), (240, 480), (480, 730), (730, 1000)]
    assert all(span.begin - span.run_in >= 60 for span in spans[1:])


def test_a_run_in_is_no_longer_than_the_piece_before() -> None:
    assert plan_spans(60, keys=[], length=30, run_in=60)[1] == Span(0, 30, 60)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("b.mp4", ["-c:v", "libx264", "-bf", "3", "-g", "15"]),
        ("open.mp4", ["-c:v", "libx264", "-x264-params", "open-gop=1:keyint=12:bframes=3"]),
        ("long.mkv", ["-c:v", "libx264", "-g", "500"]),
        ("b.avi", ["-c:v", "libx264", "-bf", "2", "-g", "15"]),
        ("t.ts", ["-c:v", "libx264", "-g", "15"]),
        ("v.webm", ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-g", "15"]),
        ("m.mov", ["-c:v", "mjpeg"]),
        ("h.mkv", ["-c:v", "libx265", "-x265-params", "log-level=error:keyint=14:open-gop=1"]),
        ("p.mpg", ["-c:v", "mpeg2video", "-bf", "2", "-g", "12"]),
    ],
)
def test_the_frames_are_those_of_one_machine(
    make: Make, identity: Stylizer, dusk: Style, name: str, arguments: Sequence[str]
) -> None:
    source = make(name, *lavfi(50), "-pix_fmt", "yuv420p", *arguments)
    assert_alike(*paint_both(source, identity, dusk, suffix=".mkv"))


def test_uneven_times_stay(make: Make, identity: Stylizer, dusk: Style) -> None:
    uneven = ["-vf", "settb=1/1000,setpts='20*N+3*mod(N,4)'", "-fps_mode", "vfr", "-enc_time_base", "1/1000"]
    source = make("uneven.mp4", *lavfi(50, "50"), *uneven, *H264, "-g", "15")
    assert_alike(*paint_both(source, identity, dusk))


def test_a_turned_video_stays_upright(make: Make, identity: Stylizer, dusk: Style, tmp_path: Path) -> None:
    plain = make("plain.mp4", *lavfi(50, size="96x64"), *H264)
    source = make("turned.mp4", "-i", str(plain), "-c", "copy", "-metadata:s:v", "rotate=90")
    assert_alike(*paint_both(source, identity, dusk))


def test_interlaced_frames_are_deinterlaced(make: Make, identity: Stylizer, dusk: Style) -> None:
    flags = ["-flags", "+ilme+ildct", "-top", "1", "-c:v", "mpeg2video", "-g", "12"]
    source = make("inter.mpg", *lavfi(50), "-vf", "tinterlace=interleave_top,fieldorder=tff", *flags)
    assert_alike(*paint_both(source, identity, dusk, suffix=".mkv"))


@pytest.mark.parametrize(
    "options",
    [
        VideoOptions(start=Fraction("0.5"), end=Fraction("1.7")),
        VideoOptions(fps=Fraction("10")),
        VideoOptions(fps=Fraction("60"), start=Fraction("0.3")),
        VideoOptions(size=(80, 80)),
    ],
    ids=["part", "slower", "faster", "larger"],
)
def test_options_of_a_video_hold_for_its_pieces(
    make: Make, identity: Stylizer, dusk: Style, options: VideoOptions
) -> None:
    source = make("video.mp4", *lavfi(75), *H264, "-g", "15")
    assert_alike(*paint_both(source, identity, dusk, options))


def test_sound_subtitles_chapters_and_tags_are_those_of_one_machine(
    make: Make, identity: Stylizer, dusk: Style, tmp_path: Path
) -> None:
    (tmp_path / "s.srt").write_text("1\n00:00:00,500 --> 00:00:01,500\nhello\n", "utf-8")
    (tmp_path / "c.txt").write_text(
        ";FFMETADATA1\ntitle=Two\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=a\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1000\nEND=2000\ntitle=b\n",
        "utf-8",
    )
    more = ["-i", str(tmp_path / "s.srt"), "-i", str(tmp_path / "c.txt"), "-map_metadata", "3"]
    maps = ["-map", "0", "-map", "1", "-map", "2"]
    source = make("all.mkv", *lavfi(50), *SOUND, *more, *maps, *H264, "-g", "15", "-c:a", "aac", "-shortest")
    alone, together = paint_both(source, identity, dusk)
    for kind in ("a", "s"):
        assert packets(together, f"{kind}:0") == packets(alone, f"{kind}:0")
    assert probe(together)["chapters"] == probe(alone)["chapters"]
    assert probe(together)["format"]["tags"]["title"] == "Two"


def test_sound_begins_with_the_part_that_is_painted(make: Make, identity: Stylizer, dusk: Style) -> None:
    source = make("sound.mp4", *lavfi(75), *SOUND, *H264, "-g", "15", "-c:a", "aac", "-shortest")
    alone, together = paint_both(source, identity, dusk, VideoOptions(start=Fraction("1"), end=Fraction("2")))
    assert [p["pts_time"] for p in packets(together, "a")] == [p["pts_time"] for p in packets(alone, "a")]


def test_results_may_come_in_any_order(make: Make, identity: Stylizer, dusk: Style, tmp_path: Path) -> None:
    source = make("video.mp4", *lavfi(60), *H264, "-g", "15")
    forth, back = tmp_path / "forth.mp4", tmp_path / "back.mp4"
    distribute(source, forth, identity, dusk)
    distribute(source, back, identity, dusk, scheduler=Here(backwards=True))
    assert packets(back) == packets(forth)


def test_no_seam_is_seen_where_light_changes_slowly(stylizer: Stylizer, library: Any, make: Make) -> None:
    # A still scene that gets darker, with a camera's noise.
    scene = "geq=lum='(110+60*sin(X/9)+50*cos(Y/7))*(1-T/10)':cb='128+40*sin(Y/20)':cr='128+30*cos(X/25)'"
    source = make("light.mkv", "-f", "lavfi", "-i", f"color=s=160x96:r=25:d=5.2,{scene},noise=alls=8:allf=t", *H264)
    result = distribute(
        source, source.with_name("out.mkv"), stylizer, library.presets["scream"], piece_frames=65, scheduler=Here()
    )
    assert not [note for note in result.notes if "grey levels" in note]


def test_a_seam_that_is_seen_is_said(
    make: Make, identity: Stylizer, dusk: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livestyle.jobs.distributed.VISIBLE_SEAM", -1.0)
    source = make("video.mp4", *lavfi(40), *H264)
    result = distribute(source, tmp_path / "out.mp4", identity, dusk)
    assert "needs a longer run-in" in result.notes[0]


def test_what_is_done_stays_when_the_workers_are_lost(
    make: Make, identity: Stylizer, dusk: Style, tmp_path: Path
) -> None:
    source = make("video.mp4", *lavfi(60), *SOUND, *H264, "-g", "15", "-c:a", "aac", "-shortest")
    whole, target = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    distribute(source, whole, identity, dusk)
    with pytest.raises(KeyboardInterrupt):
        distribute(source, target, identity, dusk, scheduler=Here(fails_at=1, backwards=True))
    assert not target.exists()
    again = Here()
    result = distribute(source, target, identity, dusk, scheduler=again, options=VideoOptions(resume=True))
    assert again.keys == [0, 1]
    assert result.resumed == 30
    assert target.read_bytes() == whole.read_bytes()
    assert not [name for name in names(tmp_path) if "livestyle" in name]


def test_another_number_of_workers_goes_on_with_the_same_pieces(
    make: Make, identity: Stylizer, dusk: Style, tmp_path: Path
) -> None:
    source, target = make("video.mp4", *lavfi(60), *H264, "-g", "15"), tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        distribute(source, target, identity, dusk, scheduler=Here(fails_at=2))
    again = Here()
    options = VideoOptions(resume=True)
    distribute(source, target, identity, dusk, scheduler=again, options=options, piece_frames=30)
    assert again.keys == [2]


def test_a_worker_with_another_version_is_refused(
    make: Make, identity: Stylizer, dusk: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make("video.mp4", *lavfi(40), *H264)
    found = iter(["livestyle 1", "livestyle 2", "livestyle 2"])
    monkeypatch.setattr(livestyle.jobs.pieces, "versions", lambda: next(found))
    with pytest.raises(WorkerError, match=r"another version .livestyle 2, where livestyle 1 is asked for"):
        distribute(source, tmp_path / "out.mp4", identity, dusk)


def test_a_worker_on_another_device_is_refused(make: Make, identity: Stylizer, dusk: Style, tmp_path: Path) -> None:
    source = make("video.mp4", *lavfi(40), *H264)
    with pytest.raises(WorkerError, match=r"another device .cpu-float32, where cpu is asked for"):
        distribute(source, tmp_path / "out.mp4", identity, dusk, scheduler=Here(device="cpu-float32"))


def test_pieces_wait_in_a_folder_that_all_share(make: Make, identity: Stylizer, dusk: Style, tmp_path: Path) -> None:
    source, shared = make("video.mp4", *lavfi(60), *H264, "-g", "15"), tmp_path / "shared"
    shared.mkdir()
    plain, target = tmp_path / "plain.mp4", tmp_path / "out.mp4"
    distribute(source, plain, identity, dusk)
    distribute(source, target, identity, dusk, storage=str(shared))
    assert target.read_bytes() == plain.read_bytes()
    assert names(shared) == []


def test_what_is_damaged_and_left_out_is_said_as_of_one_machine(
    make: Make, identity: Stylizer, dusk: Style, tmp_path: Path
) -> None:
    source = make("harmed.mp4", *lavfi(50), *SOUND, *H264, "-g", "1", "-c:a", "aac", "-shortest")
    # In the run-in of the second piece: it counts once.
    damage(source, 17)
    alone = paint_video(source, tmp_path / "alone.webm", identity, [dusk])[0]
    together = distribute(source, tmp_path / "together.webm", identity, dusk)
    assert alone.concealed == together.concealed == 1
    assert (together.damage or "").partition(":")[2] == (alone.damage or "").partition(":")[2] != ""
    assert [note.replace("together", "alone") for note in together.notes] == list(alone.notes) != []


def test_what_was_damaged_before_an_interruption_is_said_after_it(
    make: Make, identity: Stylizer, dusk: Style, tmp_path: Path
) -> None:
    source, target = make("harmed.mp4", *lavfi(60), *H264, "-g", "1"), tmp_path / "out.mp4"
    damage(source, 7)
    with pytest.raises(KeyboardInterrupt):
        distribute(source, target, identity, dusk, scheduler=Here(fails_at=1))
    result = distribute(source, target, identity, dusk, options=VideoOptions(resume=True))
    assert (result.resumed, result.concealed) == (20, 1)


def test_a_model_of_ones_own_waits_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, identity: Stylizer
) -> None:
    files = {name: identity.model.file(name).read_bytes() for name in (MANIFEST, *identity.model.manifest.files)}
    monkeypatch.setenv("LIVESTYLE_CACHE", str(tmp_path / "cache"))
    folder = unpacked_model(files)
    assert folder.is_relative_to(tmp_path / "cache")
    assert Model.load(folder).manifest == identity.model.manifest
    assert unpacked_model(files) == folder
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("LIVESTYLE_CACHE", str(tmp_path / "file"))
    with pytest.raises(WorkerError, match="a worker cannot keep the model"):
        unpacked_model(files)


def test_a_missing_fsspec_is_named_and_no_folder_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(WorkerError, match="fsspec is not installed"):
        Shelf(str(tmp_path)).put(0, b"piece")
    with pytest.raises(WorkerError, match="fsspec is not installed"):
        fetch(str(tmp_path / "piece"))


def test_a_piece_that_is_painted_waits_no_longer(make: Make, identity: Stylizer, dusk: Style, tmp_path: Path) -> None:
    class Watched(Here):
        def run(self, *arguments: Any) -> Generator[tuple[Any, Any]]:
            for done in super().run(*arguments):
                yield done
                left.append(sum(1 for path in shared.rglob("*") if path.is_file()))

    source, shared, left = make("video.mp4", *lavfi(60), *H264, "-g", "15"), tmp_path / "shared", list[int]()
    shared.mkdir()
    distribute(source, tmp_path / "out.mp4", identity, dusk, storage=str(shared), scheduler=Watched())
    assert left == [3, 2, 1, 0][-len(left) :]


def test_a_mask_travels_with_the_pieces(make: Make, identity: Stylizer, dusk: Style, tmp_path: Path) -> None:
    source = make("video.mp4", *lavfi(40), *H264)
    grey = np.zeros((64, 64), np.uint8)
    grey[:, 32:] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), grey)
    alone, together = tmp_path / "alone.mp4", tmp_path / "together.mp4"
    options = VideoOptions(encoding=LOSSLESS)
    paint_video(source, alone, identity, [dusk], options=options, mask=tmp_path / "mask.png")
    distribute(source, together, identity, dusk, options=options, mask=Mask(tmp_path / "mask.png"))
    assert_alike(alone, together)


@pytest.mark.parametrize("kind", ["animation", "jump", "field"])
def test_what_cannot_be_cut_is_refused(make: Make, identity: Stylizer, dusk: Style, tmp_path: Path, kind: str) -> None:
    options = VideoOptions(deinterlace="field") if kind == "field" else None
    source = make("a.gif", *lavfi(20)) if kind == "animation" else make("a.ts", *lavfi(20), *H264)
    if kind == "jump":
        later = make("b.ts", "-i", str(source), "-c", "copy", "-output_ts_offset", "7200")
        source.write_bytes(source.read_bytes() + later.read_bytes())
    before = names(tmp_path)
    with pytest.raises(InputError, match="paint on one machine"):
        distribute(source, tmp_path / "out.mp4", identity, dusk, options=options)
    assert names(tmp_path) == before


def test_images_are_those_of_one_machine(
    identity: Stylizer, dusk: Style, tmp_path: Path, demo_frames: list[np.ndarray]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, frame in enumerate(demo_frames[:3]):
        cv2.imwrite(str(folder / f"{number}.png"), frame[:90, :120])
    ImageBatch([folder], tmp_path / "alone").run(identity, [Look(dusk)])
    scheduler = Here()
    ImageBatch([folder], tmp_path / "together").run(identity, [Look(dusk)], distribution=Distribution(scheduler, "cpu"))
    assert scheduler.keys == [0, 1, 2]
    for path in (tmp_path / "alone").iterdir():
        assert (tmp_path / "together" / path.name).read_bytes() == path.read_bytes()


def test_an_image_that_fails_leaves_the_others(
    identity: Stylizer, dusk: Style, tmp_path: Path, image_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match="1 of 2 pictures failed"):
        ImageBatch([image_path, tmp_path / "bad.png"], tmp_path / "out").run(
            identity, [Look(dusk)], distribution=Distribution(Here(), "cpu")
        )
    assert names(tmp_path / "out") == ["picture.png"]


def test_10_bits_of_several_workers_are_those_of_one(
    make: Make, tmp_path: Path, identity: Stylizer, dusk: Style
) -> None:
    ramp = "color=black:s=1024x64:r=25:d=1.6,format=yuv420p10le,geq=lum='64+X*876/1023':cb=512:cr=512"
    source = make("ten.mkv", "-f", "lavfi", "-i", ramp, "-c:v", "libx264", "-qp", "0", "-g", "15")

    distribute(source, tmp_path / "o.mkv", identity, dusk, options=VideoOptions(encoding=LOSSLESS), strength=0.0)

    raw = ("-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-")
    shown = [ask(path, "ffmpeg", "-v", "error", "-i", "{}", *raw) for path in (source, tmp_path / "o.mkv")]
    assert shown[0] == shown[1]
