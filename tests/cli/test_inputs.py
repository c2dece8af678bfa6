"""What a command reads is never written to: by its name, by another spelling, by a link or by a hard link."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from livestyle import Look, Mask, StyleLibrary, Stylizer, stylize_video
from livestyle.errors import OutputError
from tests.batches import H264, lavfi
from tests.ffmpeg import Make
from tests.program import IDENTITY
from tests.program import livestyle as run


@pytest.fixture
def place(make: Make, image_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a picture, a film, a style, a mask and others, a model, presets and settings."""
    folder = image_path.parent
    make("film.mp4", *lavfi(5), *H264)
    make("mask.mp4", *lavfi(5), *H264)
    make("loop.gif", *lavfi(5))
    for name in ("style.png", "other.png", "mask.png", "back.png", "styles/a.png", "presets/mine.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(image_path, folder / name)
    shutil.copytree(IDENTITY, folder / "model")
    (folder / "peer.json").write_text("a network")
    (folder / "settings.png").write_text("")
    monkeypatch.setenv("LIVESTYLE_PRESETS", str(folder / "presets"))
    monkeypatch.setenv("LIVESTYLE_SETTINGS", str(folder / "settings.png"))
    monkeypatch.chdir(folder)
    return folder


Respell = Callable[[Path], Path]


def plain(path: Path) -> Path:
    return path


def around(path: Path) -> Path:
    return path.parent / ".." / path.parent.absolute().name / path.name


def linked(path: Path) -> Path:
    link = Path(f"link{path.suffix}")
    link.symlink_to(path)
    return link


def hard(path: Path) -> Path:
    link = Path(f"hard{path.suffix}")
    os.link(path, link)
    return link


IMAGE = "image picture.png -o {} --model model --force"
VIDEO = "video film.mp4 -o {} --model model --force"
PREVIEW = "styles preview picture.png -o {} --model model --force"


@pytest.mark.parametrize("respell", [plain, around, linked, hard])
@pytest.mark.parametrize(
    ("command", "target", "what"),
    [
        (IMAGE, "picture.png", "the source itself"),
        (f"{IMAGE} -s style.png", "style.png", "a style"),
        (f"{IMAGE} -s style.png:0.7,other.png:0.3", "other.png", "a style"),
        (f"{IMAGE} -s dusk:0.7,other.png:0.3", "other.png", "a style"),
        (f"{IMAGE} --mask mask.png --background back.png", "back.png", "the background"),
        (f"{IMAGE} --mask mask.png", "mask.png", "the mask"),
        (IMAGE, "presets/mine.png", "a preset of yours"),
        (IMAGE, "settings.png", "the settings"),
        (VIDEO, "film.mp4", "the source itself"),
        (f"{VIDEO} --mask mask.mp4 -s dusk@0,style.png@0.1", "mask.mp4", "the mask"),
        ("video film.mp4 -o {} --model model --force -s dusk@0,loop.gif@0.1", "loop.gif", "a style"),
        ("video film.mp4 -o {} --model model --force -s dusk@0,loop.gif:0.5,dusk:0.5@0.1", "loop.gif", "a style"),
        (f"{PREVIEW} -s dusk -s style.png", "style.png", "a style"),
        (f"{PREVIEW} --mask mask.png --background dusk:0.5,back.png:0.5", "back.png", "the background"),
        (PREVIEW, "picture.png", "the source itself"),
        ("bench engine --model model --json {} --force", "model/manifest.json", "a file of the model"),
        ("bench engine --model model --peer peer.json --json {} --force", "peer.json", "a peer"),
    ],
)
def test_what_is_read_is_not_written_to(place: Path, command: str, target: str, what: str, respell: Respell) -> None:
    before = (place / target).read_bytes()
    named = respell(Path(target))

    result = run(*[named if word == "{}" else word for word in command.split()])

    assert result.returncode == 1
    assert f"error: {named} is {what}: write to another name or folder" in result.stderr.replace(str(place) + "/", "")
    assert (place / target).read_bytes() == before


def test_pictures_of_a_folder_of_styles_are_not_replaced_by_results(place: Path) -> None:
    (place / "styles" / "picture-a.png").write_bytes((place / "style.png").read_bytes())
    result = run("image", "picture.png", "-o", "styles", "-s", "styles", "--model", "model", "--force")
    assert (result.returncode, result.stderr.splitlines()[-1]) == (
        1,
        "error: styles/picture-a.png is a style: write to another name or folder",
    )
    # What is no picture there is no style.
    Path("styles/film-a.mp4").write_text("replace me")
    assert (
        run("video", "film.mp4", "-o", "styles/film-a.mp4", "-s", "styles/a.png", "--model", "model", "-f").returncode
        == 0
    )


def test_a_pack_and_a_preset_are_not_replaced_by_an_export_or_an_addition(place: Path) -> None:
    os.link("presets/mine.png", "mine.livestyle")
    assert "is a preset of yours" in run("styles", "export", "-o", "mine.livestyle", "--force").stderr
    assert "is the source itself" in run("styles", "add", "presets/mine.png", "--force", "--model", "model").stderr


def test_a_library_s_looks_tell_what_is_read(place: Path, identity: Stylizer, tmp_path: Path) -> None:
    library = StyleLibrary(identity, tmp_path / "cache")
    style = library.from_image("loop.gif")
    for look, target, what in (
        (Look(style), "loop.gif", "a style"),
        (Look(library.presets["dusk"], mask=Mask("mask.mp4"), background=style), "loop.gif", "the background"),
        (Look(style, mask=Mask("mask.mp4")), "mask.mp4", "the mask"),
    ):
        with pytest.raises(OutputError, match=f"{target} is {what}: write to another name"):
            stylize_video("film.mp4", target, look, identity, force=True)


def test_the_unfinished_video_of_a_target_can_be_a_source_but_not_for_that_target(place: Path) -> None:
    """Whoever salvages it would lose it: the folder is cleared before it is read."""
    store = place / ".out.mp4.livestyle"
    store.mkdir()
    shutil.copyfile("film.mp4", store / "video.mp4")

    result = run("video", store / "video.mp4", "-o", "out.mp4", "--model", "model", "--force")
    assert f"{store / 'video.mp4'} is the source itself".replace(f"{place}/", "") in result.stderr.replace(
        f"{place}/", ""
    )
    assert (store / "video.mp4").exists()
    assert run("video", store / "video.mp4", "-o", "saved.mp4", "--model", "model").returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="written for a shell")
def test_files_that_are_standard_input_and_output_are_known_too(make: Make, place: Path) -> None:
    clip = make("clip.mkv", *lavfi(5), *H264)
    before = clip.read_bytes()
    program = f"{sys.executable} -m livestyle video --model model --force"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    for line in (f"{program} - -o clip.mkv < clip.mkv", f"{program} clip.mkv -o - >> clip.mkv"):
        result = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=environment)
        assert result.returncode == 1
        assert "is the source itself: write to another name or folder" in result.stderr
    assert clip.read_bytes() == before
