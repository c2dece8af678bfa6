"""Section ``install``: Python, the packages that livestyle needs, and packages that overwrite each other's files."""

from __future__ import annotations

import importlib
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from itertools import takewhile

from livestyle.errors import first_line

from .finding import Finding, Section, State

LEAST_PYTHON = (3, 11)
IMPORTS = {
    "av": "av",
    "cv2-enumerate-cameras": "cv2_enumerate_cameras",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "opencv-python": "cv2",
    "pillow": "PIL",
    "pillow-heif": "pillow_heif",
    "platformdirs": "platformdirs",
    "rich": "rich",
    "tomli-w": "tomli_w",
    "typer": "typer",
}
"""Module of each package that nothing works without; of a `FAMILIES` any member will do."""
FAMILIES = {
    "onnxruntime": re.compile(r"onnxruntime(-(gpu|directml|openvino|silicon|rocm|migraphx|qnn|training|cann))?"),
    "opencv-python": re.compile(r"opencv-(contrib-)?python(-headless)?"),
}
"""Packages that install the same files, of which only one may be there. Plug-in providers, onnxruntime-ep-..., may."""
LIBRARIES = {
    "libGL.so.1": "sudo apt install libgl1",
    "libglib-2.0.so.0": "sudo apt install libglib2.0-0",
    "libgthread-2.0.so.0": "sudo apt install libglib2.0-0",
    "libxcb.so.1": "sudo apt install libxcb1",
}
"""Debian's and Ubuntu's package of each system library that an import may miss."""


def installed() -> dict[str, str]:
    """Version of each installed package, by its normalised name (PEP 503)."""
    found: dict[str, str] = {}
    for package in metadata.distributions():
        # Remains of an interrupted installation have no name.
        name = package.metadata["Name"]
        if name:
            # Of two folders on the path, the first is the one that is imported.
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), package.version)
    return found


def check_install() -> Iterator[Finding]:
    """Findings on Python, the needed packages and conflicts among the installed ones."""
    yield _python()
    packages = installed()
    for name, module in IMPORTS.items():
        yield _package(name, module, packages)
    for name, family in FAMILIES.items():
        yield _conflict(name, sorted(p for p in packages if family.fullmatch(p)))


def opencv_packages() -> list[str]:
    """Names of the installed packages of OpenCV."""
    return sorted(name for name in installed() if FAMILIES["opencv-python"].fullmatch(name))


def _python() -> Finding:
    version = platform.python_version()
    text = f"{version} ({platform.python_implementation()}), {sys.executable}"
    if sys.version_info < LEAST_PYTHON:
        least = ".".join(map(str, LEAST_PYTHON))
        return Finding(
            Section.INSTALL, "Python", State.BROKEN, f"{text}: too old", f"install Python {least} or newer, then again"
        )
    return Finding(Section.INSTALL, "Python", State.OK, text, figures={"version": version})


def _package(name: str, module: str, packages: dict[str, str]) -> Finding:
    family = FAMILIES.get(name)
    own = [p for p in sorted(packages) if (family.fullmatch(p) if family else p == name)]
    shown = ", ".join(f"{p} {packages[p]}" for p in own) or name
    mend = f'pip install --force-reinstall "{requirement(name)}"'
    try:
        loaded = importlib.import_module(module)
    # Not ImportError alone: extension modules for another numpy, or damaged ones, fail in ways of their own.
    except Exception as error:
        reason = first_line(error)
        library = next((command for lib, command in LIBRARIES.items() if lib in reason), "")
        return Finding(Section.INSTALL, name, State.BROKEN, f"{shown} does not load ({reason})", library or mend)
    if len(own) == 1 and not _fits(packages[own[0]], requirement(name)):
        text = f"{shown} does not fit this livestyle, which needs {requirement(name)}"
        return Finding(Section.INSTALL, name, State.BROKEN, text, mend)
    version = str(getattr(loaded, "__version__", ""))
    figures = {"packages": own, "version": version or packages.get(name, "")}
    if family and own and version and all(_numbers(packages[p])[:3] != _numbers(version)[:3] for p in own):
        # One was installed over another and has won, or a removal took the other's files along.
        text = f"{shown} is installed, but its files are those of {version}"
        return Finding(Section.INSTALL, name, State.WARNING, text, mend, figures)
    return Finding(Section.INSTALL, name, State.OK, shown if own else f"{name} {version}", figures=figures)


def _conflict(name: str, own: list[str]) -> Finding:
    title = "one onnxruntime" if name == "onnxruntime" else "one OpenCV"
    if len(own) < 2:
        return Finding(Section.INSTALL, title, State.OK, "no other package overwrites its files")
    kept = next((p for p in ("onnxruntime-gpu", "opencv-python") if p in own), own[0])
    return Finding(
        Section.INSTALL,
        title,
        State.WARNING,
        f"{' and '.join(own)} overwrite each other's files, so that a GPU or a window may be lost in silence",
        f"pip uninstall -y {' '.join(own)} && pip install {kept}",
        {"packages": own},
    )


def requirement(name: str) -> str:
    """Requirement of livestyle's own metadata for a package, such as ``av>=18,<19``."""
    try:
        lines = metadata.requires("livestyle") or []
    except metadata.PackageNotFoundError:
        # A checkout that is on the path without being installed.
        lines = []
    for line in lines:
        text, _, marker = line.partition(";")
        found = re.match(r"[\w.-]+", text)
        if found and "extra" not in marker and found[0].lower().removesuffix("-gpu") == name:
            specifier = text[found.end() :].replace(" ", "").replace("(", "").replace(")", "")
            return ("onnxruntime-gpu" if _takes_gpu_build(name) else name) + specifier
    return name


def _takes_gpu_build(name: str) -> bool:
    return name == "onnxruntime" and sys.platform != "darwin" and platform.machine() in ("x86_64", "AMD64")


def _fits(version: str, requirement: str) -> bool:
    """Whether a version satisfies the ``>=`` and ``<`` of a requirement; other operators are not ours."""
    for sign, bound in re.findall(r"(>=|<)([\d.]+)", requirement):
        if (_numbers(version) >= _numbers(bound)) != (sign == ">="):
            return False
    return True


def _numbers(version: str) -> list[int]:
    parts = (re.match(r"\d+", part) for part in version.split("."))
    return [int(part[0]) for part in takewhile(bool, parts) if part]
