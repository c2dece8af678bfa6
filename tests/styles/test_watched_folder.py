from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from livestyle import StyleLibrary, StyleStats, Stylizer
from livestyle.errors import StyleError
from livestyle.styles import watched_folder as module
from livestyle.styles.library import Style
from livestyle.styles.watched_folder import THUMB, WatchedFolder
from tests.program import IDENTITY
from tests.waiting import PATIENCE, wait_for

Open = Callable[..., WatchedFolder]


def names(watched: WatchedFolder) -> list[str]:
    return [style.name for style in watched.styles]


def news_until(watched: WatchedFolder, fits: Callable[[list[str]], bool]) -> list[str]:
    """All news, once they fit."""
    news: list[str] = []

    def came() -> bool:
        news.extend(watched.take_news())
        return fits(news)

    wait_for(came, f"news other than {news}")
    return news


def some_polls() -> None:
    time.sleep(10 * module.POLL_SECONDS)


def png(seed: int) -> bytes:
    """A small image of its own."""
    noise = np.random.default_rng(seed).integers(0, 255, (16, 24, 3), np.uint8)
    return bytes(cv2.imencode(".png", cv2.resize(noise, (120, 80), interpolation=cv2.INTER_CUBIC))[1])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything takes a tenth of its time."""
    for name in ("POLL_SECONDS", "SETTLE_SECONDS", "RETRY_SECONDS"):
        monkeypatch.setattr(module, name, getattr(module, name) / 10)


class Slow(Stylizer):
    """A Stylizer that takes a while for each image of a style."""

    def encode_style(self, image: np.ndarray) -> StyleStats:
        time.sleep(0.05)
        return super().encode_style(image)


@pytest.fixture
def slow(tmp_path: Path) -> StyleLibrary:
    return StyleLibrary(Slow(IDENTITY, "cpu"), tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "paintings"
    path.mkdir()
    return path


@pytest.fixture
def presets(library: StyleLibrary) -> list[Style]:
    return list(library.presets.values())[:2]


@pytest.fixture
def watch(library: StyleLibrary, presets: list[Style], folder: Path) -> Iterator[Open]:
    """Watch the folder, with presets to fall back on."""
    opened: list[WatchedFolder] = []

    def begin(library: StyleLibrary = library) -> WatchedFolder:
        opened.append(WatchedFolder(library, presets, folder))
        opened[-1].start()
        return opened[-1]

    yield begin
    for watched in opened:
        watched.close()


def test_the_images_of_a_folder_are_its_styles_by_name(watch: Open, library: StyleLibrary, folder: Path) -> None:
    for number, name in enumerate(("c.png", "a.png", "b.jpg", ".hidden.png", "notes.txt")):
        (folder / name).write_bytes(png(number))
    watched = watch()
    wait_for(lambda: names(watched) == ["a", "b", "c"], "three styles")
    some_polls()
    assert watched.take_news() == []
    assert library.encoded == 3


def test_images_become_styles_in_their_order_while_the_start_does_not_wait(
    watch: Open, slow: StyleLibrary, folder: Path
) -> None:
    for number in range(6):
        (folder / f"{number}.png").write_bytes(png(number))
    watched = watch(slow)
    seen = [watched.styles]

    def is_full() -> bool:
        if watched.styles is not seen[-1]:
            seen.append(watched.styles)
        return len(watched.styles) == 6

    wait_for(is_full, "six styles")
    assert len(seen) > 3
    for styles in seen[1:]:
        assert [style.name for style in styles] == list("012345")[: len(styles)]


def test_an_image_that_is_dropped_in_is_a_style_and_one_that_is_deleted_goes(
    watch: Open, presets: list[Style], folder: Path
) -> None:
    watched = watch()
    news_until(watched, lambda news: news == ["there is no picture in paintings yet: put some in"])
    assert list(watched.styles) == presets
    (folder / "sunset.png").write_bytes(png(1))
    news_until(watched, lambda news: news == ["added sunset"])
    assert names(watched) == ["sunset"]
    (folder / "dawn.png").write_bytes(png(2))
    news_until(watched, lambda news: news == ["added dawn"])
    assert names(watched) == ["dawn", "sunset"]
    (folder / "sunset.png").unlink()
    news_until(watched, lambda news: news == ["sunset is gone"])
    assert names(watched) == ["dawn"]
    (folder / "dawn.png").unlink()
    news_until(watched, lambda news: news == ["dawn is gone: here are the presets"])
    assert list(watched.styles) == presets


def test_an_image_that_is_overwritten_is_encoded_anew(watch: Open, library: StyleLibrary, folder: Path) -> None:
    path = folder / "sunset.png"
    path.write_bytes(png(1))
    watched = watch()
    wait_for(lambda: names(watched) == ["sunset"], "a style")
    (before,) = watched.styles
    path.write_bytes(png(2))
    news_until(watched, lambda news: news == ["sunset has changed"])
    (after,) = watched.styles
    assert np.array_equal(after.stats.values, library.from_image(path).stats.values)
    assert not np.array_equal(after.stats.values, before.stats.values)
    assert watched.thumbnail(before) is None


def test_an_image_that_is_only_touched_stays_the_same_style(watch: Open, library: StyleLibrary, folder: Path) -> None:
    (folder / "a.png").write_bytes(png(1))
    watched = watch()
    wait_for(lambda: names(watched) == ["a"], "a style")
    styles = watched.styles
    (folder / "a.png").touch()
    (folder / "b.png").write_bytes(png(2))
    news_until(watched, lambda news: news == ["added b"])
    assert watched.styles[0] is styles[0]
    assert library.encoded == 2


def test_an_image_is_left_alone_while_it_is_written(
    watch: Open, library: StyleLibrary, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLE_SECONDS", 1.5)
    watched = watch()
    news_until(watched, lambda news: len(news) == 1)
    for version in range(10):
        (folder / "busy.png").write_bytes(png(version))
        time.sleep(2 * module.POLL_SECONDS)
    news_until(watched, lambda news: "added busy" in news)
    assert library.encoded == 1
    assert np.array_equal(watched.styles[0].stats.values, library.from_image(folder / "busy.png").stats.values)


def test_an_image_whose_copying_pauses_is_read_when_it_goes_on(
    watch: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", PATIENCE)
    (folder / "a.png").write_bytes(png(1))
    watched = watch()
    wait_for(lambda: names(watched) == ["a"], "a style")
    (folder / "slow.png").write_bytes(png(2)[:20])
    some_polls()
    (folder / "slow.png").write_bytes(png(2))
    news_until(watched, lambda news: news == ["added slow"])
    assert names(watched) == ["a", "slow"]


def test_what_is_no_image_is_reported_once_and_may_become_one(watch: Open, folder: Path) -> None:
    (folder / "a.png").write_bytes(png(1))
    (folder / "letter.jpg").write_text("Dear reader")
    (folder / "README.txt").write_text("These are my paintings.")
    watched = watch()
    (news,) = news_until(watched, lambda news: len(news) == 1)
    assert news.startswith("letter.jpg is not a picture that can be read")
    (folder / "letter.jpg").write_text("Dear reader, once more")
    (folder / "camera.dng").write_text("of a kind that cannot be read")
    (news,) = news_until(watched, lambda news: len(news) == 1)
    assert news.startswith("camera.dng is no style: pictures end with .avif")
    some_polls()
    assert names(watched) == ["a"]
    (folder / "letter.jpg").write_bytes(png(2))
    assert news_until(watched, lambda news: len(news) == 1) == ["added letter"]


def test_a_style_whose_image_is_overwritten_with_something_else_goes(watch: Open, folder: Path) -> None:
    for name in "ab":
        (folder / f"{name}.png").write_bytes(png(ord(name)))
    watched = watch()
    wait_for(lambda: names(watched) == ["a", "b"], "two styles")
    (folder / "a.png").write_text("no picture any more")
    (news,) = news_until(watched, lambda news: len(news) == 1)
    assert news.startswith("a.png is not a picture")
    wait_for(lambda: names(watched) == ["b"], "the other style alone")


def test_many_images_at_once_are_little_news(
    watch: Open, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.2)
    watched = watch()
    news_until(watched, lambda news: len(news) == 1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for number in range(12):
        (elsewhere / f"{number:02}.png").write_bytes(png(number))
    for path in elsewhere.iterdir():
        path.rename(folder / path.name)

    def added(news: list[str]) -> int:
        return sum(int(text.split()[1]) if text.endswith("styles") else 1 for text in news)

    news = news_until(watched, lambda news: added(news) == 12)
    # A poll may come between two of them.
    assert len(news) <= 3
    assert len(watched.styles) == 12
    for path in folder.iterdir():
        path.unlink()
    news_until(watched, lambda news: bool(news) and "gone" in news[-1])
    assert names(watched)[:1] != ["00"]


def test_the_styles_of_a_folder_that_disappears_stay_until_it_is_back(
    watch: Open, library: StyleLibrary, folder: Path
) -> None:
    for number in range(3):
        (folder / f"{number}.png").write_bytes(png(number))
    watched = watch()
    wait_for(lambda: names(watched) == ["0", "1", "2"], "three styles")
    styles = watched.styles
    folder.rename(folder.with_name("away"))
    news_until(watched, lambda news: news == ["the folder paintings is gone: its styles stay until it is back"])
    some_polls()
    assert watched.take_news() == []
    assert watched.styles is styles
    (folder.with_name("away") / "3.png").write_bytes(png(3))
    folder.with_name("away").rename(folder)
    news_until(watched, lambda news: news == ["the folder paintings is back", "added 3"])
    assert watched.styles[:3] == styles
    assert library.encoded == 4


def test_a_folder_that_disappears_while_it_is_looked_at_takes_no_style_along(
    watch: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        (folder / f"{number}.png").write_bytes(png(number))
    watched = watch()
    wait_for(lambda: names(watched) == ["0", "1", "2"], "three styles")
    scandir = os.scandir

    @contextmanager
    def pulled_out(path: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scandir(path) as entries:
            listed = list(entries)
            folder.rename(folder.with_name("away"))
            yield iter(listed)

    monkeypatch.setattr(os, "scandir", pulled_out)
    news = news_until(watched, bool)
    assert news == ["the folder paintings is gone: its styles stay until it is back"]
    assert names(watched) == ["0", "1", "2"]


def test_a_stick_that_is_pulled_out_and_leaves_its_mount_point_takes_no_style_along(
    watch: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "0.png").write_bytes(png(0))
    watched = watch()
    wait_for(lambda: names(watched) == ["0"], "a style")
    monkeypatch.setattr(module, "_versions", lambda _: {})
    monkeypatch.setattr(module, "_filesystem_of", lambda _: -1)
    news = news_until(watched, bool)
    assert news == ["the folder paintings is gone: its styles stay until it is back"]
    assert names(watched) == ["0"]


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_cannot_be_read_at_the_start_is_refused(library: StyleLibrary, folder: Path, there: bool) -> None:
    path = folder / "styles"
    if there:
        path.write_text("a file")
    watched = WatchedFolder(library, folder=path)
    with pytest.raises(StyleError, match="cannot read the folder of styles") as error:
        watched.start()
    assert str(path) in str(error.value)
    watched.close()


def test_closing_does_not_wait_for_the_images_that_are_left(watch: Open, slow: StyleLibrary, folder: Path) -> None:
    for number in range(20):
        (folder / f"{number:02}.png").write_bytes(png(number))
    watched = watch(slow)
    wait_for(lambda: names(watched)[0] == "00", "the first style")
    watched.close()
    encoded = slow.encoded
    some_polls()
    assert slow.encoded == encoded < 20
    watched.close()


def test_closing_does_not_wait_for_a_drive_that_hangs(
    watch: Open, library: StyleLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.01)
    hangs, goes_on = threading.Event(), threading.Event()

    def scan(_: Path) -> dict[str, tuple[int, int]]:
        hangs.set()
        goes_on.wait(PATIENCE)
        return {}

    monkeypatch.setattr(module, "_versions", scan)
    watched = watch(library)
    assert hangs.wait(PATIENCE)
    try:
        watched.close()
        assert any(thread.name == "watched folder" for thread in threading.enumerate())
    finally:
        goes_on.set()
    wait_for(lambda: not any(thread.name == "watched folder" for thread in threading.enumerate()), "the thread's end")


def test_the_styles_given_are_all_there_is_without_a_folder(
    library: StyleLibrary, presets: list[Style], image_path: Path
) -> None:
    style = library.from_image(image_path)
    with WatchedFolder(library, [style, *presets]) as watched:
        assert watched.styles == (style, *presets)
        wait_for(lambda: watched.thumbnail(style) is not None, "the image's thumbnail")
        assert watched.take_news() == []
        assert watched.thumbnail(presets[0]) is None


@pytest.mark.parametrize("turned", [False, True])
def test_a_thumbnail_is_the_middle_of_the_image(watch: Open, folder: Path, turned: bool) -> None:
    image = np.zeros((200, 600, 3), np.uint8)
    image[:, 200:300] = (255, 0, 0)
    image[:, 300:400] = (0, 0, 255)
    cv2.imwrite(str(folder / "halves.png"), image.swapaxes(0, 1) if turned else image)
    watched = watch()
    wait_for(lambda: names(watched) == ["halves"], "a style")
    thumbnail = watched.thumbnail(watched.styles[0])
    assert thumbnail is not None
    lying = thumbnail.swapaxes(0, 1) if turned else thumbnail
    assert (lying[:, : THUMB // 2 - 1] == (255, 0, 0)).all()
    assert (lying[:, THUMB // 2 + 1 :] == (0, 0, 255)).all()
    assert thumbnail.shape == (THUMB, THUMB, 3)
    assert watched.thumbnail(watched.styles[0]) is thumbnail


def test_an_image_that_comes_again_is_not_encoded_again(
    watch: Open, library: StyleLibrary, folder: Path, tmp_path: Path
) -> None:
    (folder / "a.png").write_bytes(png(1))
    watched = watch()
    wait_for(lambda: names(watched) == ["a"], "a style")
    shutil.move(folder / "a.png", tmp_path / "a.png")
    news_until(watched, lambda news: news == ["a is gone: here are the presets"])
    shutil.move(tmp_path / "a.png", folder / "b.png")
    news_until(watched, lambda news: news == ["added b"])
    assert library.encoded == 1
