"""Paths of jobs: folders and glob patterns expanded to sources, names for results, and checks before writing."""

from __future__ import annotations

import logging
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile

from livestyle.errors import InputError, OutputError
from livestyle.files import LONGEST_NAME, hidden_path
from livestyle.media.images import images_in, is_writable
from livestyle.media.images.numbered import Numbered, sequences_of
from livestyle.media.video.animation import is_animated
from livestyle.media.video.stdio import STDIO, is_pipe
from livestyle.styles.library import with_home

VIDEO_SUFFIXES = tuple(
    f".{name}"
    for name in (
        *("264", "265", "360", "3g2", "3gp", "3gpp", "amv", "asf", "avi", "avs2", "divx", "dv", "f4v", "flv", "gif"),
        *("h264", "h265", "hevc", "insv", "ivf", "k3g", "lrv", "m1v", "m2p", "m2t", "m2ts", "m2v", "m4v", "mjpeg"),
        *("mjpg", "mk3d", "mkv", "mod", "mov", "mp4", "mp4v", "mpe", "mpeg", "mpg", "mpv", "mts", "mxf", "nut", "ogm"),
        *("ogv", "qt", "rm", "rmvb", "tod", "trp", "ts", "vob", "vro", "webm", "wmv", "wtv", "y4m"),
    )
)
"""Suffixes by which a folder's videos are found; a file that is named itself may have any suffix."""
ANIMATED_SUFFIXES = (".apng", ".avif", ".avifs", ".png", ".webp")
"""Suffixes of image formats whose files count as videos when they are animated."""

log = logging.getLogger(__name__)


def is_there(path: Path) -> bool:
    """Whether a file or folder exists; False where permissions hide it."""
    # Before Python 3.14, Path.exists raises PermissionError there.
    return os.path.exists(path)  # noqa: PTH110


def is_link(path: Path) -> bool:
    """Whether there is a symbolic link; False where permissions hide it, or no such name can be."""
    return os.path.islink(path)  # noqa: PTH114


def is_folder(path: Path) -> bool:
    """Whether a folder exists; False where permissions hide it."""
    return os.path.isdir(path)  # noqa: PTH112


def expand_images(sources: Sequence[Path]) -> list[Path]:
    """Image files that files, folders and glob patterns name, each once.

    Raises:
        InputError: one of them names none.
    """
    return _expand(sources, images_in, "picture")


def expand_videos(sources: Sequence[Path]) -> list[Path]:
    """Video files that files, folders and glob patterns name, each once; unchanged where standard input is among them.

    Numbered images are a video: their pattern stands for them, whether they are named by it, by one of them, by many
    or, where it holds no other video, by their folder.

    Raises:
        InputError: one of them names none.
    """
    if STDIO in sources:
        return list(sources)
    found: dict[Path, None] = {}
    members: set[Path] = set()
    for path in _expand(sources, _videos_or_sequences_in, "video"):
        if path in members:
            continue
        sequence = None if not path.is_file() or _is_video(path) else Numbered.of_member(path)
        if sequence is None:
            found[path] = None
            continue
        files = sequence.files()
        members.update(files)
        found[sequence.path] = None
        log.warning("%s is one of %d numbered pictures, %s: one video", path, len(files), sequence.path)
    return list(found)


def _videos_or_sequences_in(folder: Path) -> list[Path]:
    """Videos of a folder; where it has none, the patterns of its numbered images, which is said."""
    videos = videos_in(folder)
    sequences = sequences_of(images_in(folder))
    if videos or not sequences:
        if sequences:
            log.warning("%s has numbered pictures too: %s", folder, ", ".join(str(found.path) for found in sequences))
        return videos
    for sequence, files in sequences.items():
        log.warning("%s has %d numbered pictures, %s: one video", folder, len(files), sequence.path)
    return [sequence.path for sequence in sequences]


def files_at(path: Path) -> list[Path]:
    """The file at a path, or the files that its pattern stands for (`Numbered`); none where nothing is there."""
    if is_there(path):
        return [path]
    numbered = Numbered.parse(path)
    return [] if numbered is None else numbered.files()


def videos_in(folder: Path) -> list[Path]:
    """Video files of a folder, not recursive, sorted by name, without hidden ones.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        files = (p for p in folder.iterdir() if not p.name.startswith(".") and p.is_file())
        return sorted(p for p in files if _is_video(p))
    except OSError as error:
        raise InputError(f"cannot read the folder {folder}: {error.strerror or error}") from error


def _is_video(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in VIDEO_SUFFIXES or (suffix in ANIMATED_SUFFIXES and is_animated(path))


def _say_what_is_left_out(folder: Path, files: Sequence[Path], kind: str) -> None:
    """Count, in the log, the files of a folder that are not among those found, by their suffixes."""
    try:
        others = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    except OSError:
        return
    found = set(files)
    counts = Counter(p.suffix.lower() or "without a suffix" for p in others if p not in found)
    if counts:
        number = counts.total()
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common(8))
        more = f" and {len(counts) - 8} other kinds" if len(counts) > 8 else ""
        one = number == 1
        log.warning(
            "%d file%s in %s %s no %s and %s left out: %s%s",
            *(number, "" if one else "s", folder, "is" if one else "are", kind, "is" if one else "are", kinds, more),
        )


def _expand(sources: Sequence[Path], list_folder: Callable[[Path], list[Path]], kind: str) -> list[Path]:
    found: dict[object, Path] = {}
    for source in sources:
        if is_folder(source):
            files = list_folder(source)
            if not files:
                raise InputError(f"there is no {kind} in the folder {source}")
            _say_what_is_left_out(source, [file for path in files for file in files_at(path)], kind)
        elif is_there(source) or (kind == "video" and files_at(source)):
            files = [source]
        elif any(letter in str(source) for letter in "*?["):
            # Shells on Windows do not expand glob patterns.
            pattern = with_home(source)
            try:
                matches = Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))
                files = sorted(path for path in matches if path.is_file() and not path.name.startswith("."))
            except (NotImplementedError, ValueError) as error:
                raise InputError(f"cannot read the pattern {source} ({error}): try *.mp4, or **/*.mp4") from error
            if not files:
                raise InputError(f"there is no {kind} that {source} fits")
        else:
            raise InputError(f"there is no {kind} {source}")
        for file in files:
            found.setdefault(_identity(file) if is_there(file) else file, file)
    if not found:
        raise InputError(f"no {kind} was given")
    return list(found.values())


def name_results(sources: Sequence[Path], suffix_of: Callable[[Path], str]) -> list[str]:
    """File names of results in a folder: the source's name with the result's suffix.

    Name collisions, such as between x.mp4 and x.avi: results whose suffix changes keep the old one before the new one,
    as in x.mp4 and x.avi.mp4.

    Args:
        sources: files.
        suffix_of: function from a source to the suffix of its result.
    """
    names = [source.with_suffix(suffix_of(source)).name for source in sources]
    shared = Counter(map(_folded, names))
    return [
        name if name == source.name or shared[_folded(name)] == 1 else source.name + Path(name).suffix
        for source, name in zip(sources, names, strict=True)
    ]


def name_by_style(target: Path, names: Sequence[str]) -> list[Path]:
    """Paths of the results of one source in several styles, by their names; for one style the target itself."""
    if len(names) == 1:
        return [target]
    # Equal names, such as of the images a.jpg and a.png of one folder, get a number.
    labels = [name if names.count(name) == 1 else f"{name}-{i + 1}" for i, name in enumerate(names)]
    return [target.with_stem(f"{target.stem}-{label}") for label in labels]


def make_folder(path: Path) -> None:
    """Create a folder for results, with its parents, where it is missing.

    Raises:
        OutputError: it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {path}: {error.strerror or error}") from error


def check_target(path: Path, suffixes: Iterable[str], example: str) -> None:
    """Raise an error for a target that is a folder, has no writable format, or lies in a folder without write access.

    Args:
        path: of the target.
        suffixes: of the formats that can be written.
        example: file name to suggest where the target is a folder.

    Raises:
        OutputError: the target cannot be written.
    """
    if is_folder(path):
        raise OutputError(f"{path} is a folder: name the file to write, such as {path / example}")
    if path.suffix.lower() not in suffixes:
        endings = sorted(suffixes)
        one_of = "one of " * (len(endings) > 1)
        # Of videos alone.
        numbered = f", or write pictures with a number in their name: {path.stem}_%04d{path.suffix}"
        hint = numbered * (is_writable(path) and ".mp4" in endings)
        raise OutputError(f"cannot write {path}: end the name with {one_of}{' '.join(endings)}{hint}")
    if not is_folder(path.parent):
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}, make it first")
    _check_writable(path.parent, path)


def check_folder(path: Path) -> None:
    """Raise an error for a folder of results that is a file, cannot be created, or has no write access.

    Raises:
        OutputError: results cannot be written there.
    """
    there = next((place for place in (path, *path.absolute().parents) if is_there(place)), None)
    if there is None:
        raise OutputError(f"cannot write to the folder {path}: there is no {path.absolute().anchor}")
    if not is_folder(there):
        raise OutputError(f"cannot write to the folder {path}: {there} is a file")
    _check_writable(there, path)


def _check_writable(folder: Path, path: Path) -> None:
    try:
        # By trying: permission bits mean nothing to root, and some file systems (/proc) accept no files.
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = f"in the folder {folder} no file can be made ({error.strerror or error})"
        raise OutputError(f"cannot write {path}: {reason}, choose another") from error


Input = tuple[str, Path]
"""What a command reads beside its sources, in words such as "the mask", and where: a file, or a folder of files."""


def check_taken(targets: Sequence[Path], sources: Sequence[Path], force: bool, others: Iterable[Input] = ()) -> None:
    """Raise an error for targets that collide with one another, with what is read, or with existing files.

    What is read is recognised under all of its names: other spellings, links and hard links.

    Args:
        targets: files to write.
        sources: files to read.
        force: accept existing files, which will be replaced.
        others: what else is read.

    Raises:
        OutputError: there is a collision.
    """
    seen: dict[str, Path] = {}
    # What is written to a pipe replaces nothing.
    there = [files_at(path) or [path] * is_link(path) for path in targets if not is_pipe(path)]
    taken = [file for files in there for file in files]
    for path in targets:
        if len(os.fsencode(path.name)) > LONGEST_NAME:
            raise OutputError(f"cannot write {path}: File name too long, choose a shorter one")
        other = seen.setdefault(_folded(str(path)), path)
        if other is not path and (other == path or _is_case_insensitive(path.parent)):
            raise OutputError(f"two results would both be {path}: convert them to two folders")
    _check_inputs(targets, [path for path in taken if is_there(path)], sources, others)
    if taken and not force:
        others_too = f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""
        raise OutputError(f"{taken[0]}{others_too} already exists: choose another name, or replace it", setting="force")


def _check_inputs(
    targets: Sequence[Path], taken: Sequence[Path], sources: Sequence[Path], others: Iterable[Input]
) -> None:
    """Raise an error for a file that would be replaced and is read: the name's, or one of those that are hidden."""
    standard: dict[object, str] = {_stream(1): "standard output"} if STDIO in targets else {}
    hidden = [file for path in targets if path != STDIO for file in _hidden_files(path) if is_there(file)]
    if not (taken or standard or hidden):
        return
    read: dict[object, str] = {}
    for what, place in others:
        for file in _files_in(place) or files_at(place):
            read.setdefault(_identity(file), what)
    read |= {_identity(file): "the source itself" for source in sources for file in files_at(source)}
    if STDIO in sources:
        read[_stream(0)] = "the source itself"
    read.pop(None, None)
    places = {**standard, **{_identity(path): str(path) for path in (*taken, *hidden)}}
    for identity, name in places.items():
        if identity in read:
            raise OutputError(f"{name} is {read[identity]}: write to another name or folder")


def _hidden_files(path: Path) -> list[Path]:
    """Hidden files beside a target that are written, or deleted with their folder, while it is made."""
    folder = hidden_path(path, ".livestyle")
    return [hidden_path(path, ".lock"), hidden_path(path, ".partial"), *_files_in(folder)]


def _files_in(place: Path) -> list[Path]:
    """A file, or the files of a folder, without those of other folders in it; none where nothing is there."""
    try:
        return [path for path in (place.iterdir() if place.is_dir() else [place]) if path.is_file()]
    except OSError:
        return []


def _stream(number: int) -> object:
    """Identity of the file that standard input or output is; None where it is a pipe or a device."""
    try:
        found = os.fstat(number)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _folded(name: str) -> str:
    """Name as file systems compare it that take capitals and small letters for the same (Windows, macOS, FAT)."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_case_insensitive(folder: Path) -> bool:
    """Whether a folder, which may be missing, is on such a file system, tried with a file."""
    there = next(place for place in (folder, *folder.absolute().parents) if is_folder(place))
    with suppress(OSError), NamedTemporaryFile(dir=there, prefix="livestyle", suffix="a") as file:
        return is_there(there / f"{Path(file.name).name[:-1]}A")
    return os.name == "nt"


def renamed(wanted: Path, path: Path) -> list[str]:
    """Notes on a result that did not get the name that was wanted, see `livestyle.results.publish`."""
    return [] if path == wanted else [f"{wanted} has been made by another program meanwhile and stays as it is"]


def _identity(path: Path) -> object:
    """Identity of a file under all of its names (hard links, other capitals): device and inode number."""
    found = path.stat()
    # Some network drives on Windows have no inode numbers.
    return (found.st_dev, found.st_ino) if found.st_ino else os.path.normcase(path.resolve())
