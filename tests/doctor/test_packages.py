"""Section install: packages that are missing, too old, broken, or in each other's way."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import livestyle.doctor.packages
from livestyle.doctor.packages import IMPORTS

from .conftest import examine

Pretend = Callable[[str, str], None]


def test_every_package_that_livestyle_depends_on_is_checked() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.match(r"[\w-]+", line)[0].removesuffix("-gpu") for line in project["dependencies"]}  # type: ignore[index]
    assert names == IMPORTS.keys()


def test_what_is_there_is_said_with_its_version() -> None:
    found = examine("install")
    assert found["Python"]["figures"]["version"] == ".".join(map(str, sys.version_info[:3]))
    assert re.fullmatch(r"numpy \d+\.\d+\.\d+", found["numpy"]["text"])


def test_two_packages_of_onnxruntime_are_said(pretend: Pretend) -> None:
    pretend("onnxruntime", "1.31.1")
    pretend("onnxruntime-gpu", "1.31.1")
    line = examine("install")["one onnxruntime"]
    assert line["state"] == "warning"
    assert line["text"].startswith("onnxruntime and onnxruntime-gpu overwrite each other's files")
    assert line["mend"] == "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"


def test_two_packages_of_opencv_are_said(pretend: Pretend) -> None:
    pretend("opencv-python", "5.0.0.93")
    pretend("Opencv_Python.Headless", "5.0.0.93")
    line = examine("install")["one OpenCV"]
    assert line["state"] == "warning"
    assert line["mend"] == "pip uninstall -y opencv-python opencv-python-headless && pip install opencv-python"


def test_a_plug_in_provider_is_no_second_onnxruntime(pretend: Pretend) -> None:
    pretend("onnxruntime-ep-openvino", "1.8.1")
    assert examine("install")["one onnxruntime"]["state"] == "ok"


def test_files_of_another_version_than_the_package_says_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "__version__", "1.20.0")
    line = examine("install")["onnxruntime"]
    assert line["state"] == "warning"
    assert line["text"].endswith("is installed, but its files are those of 1.20.0")
    assert line["mend"].startswith("pip install --force-reinstall")


def test_a_package_that_is_too_old_is_broken(pretend: Pretend) -> None:
    pretend("numpy", "1.26.4")
    line = examine("install", code=1)["numpy"]
    assert line["text"] == "numpy 1.26.4 does not fit this livestyle, which needs numpy>=2"
    assert line["mend"] == 'pip install --force-reinstall "numpy>=2"'


@pytest.mark.parametrize(
    ("reason", "mend"),
    [
        ("libGL.so.1: cannot open shared object file: No such file or directory", "sudo apt install libgl1"),
        ("numpy.core.multiarray failed to import", "pip install --force-reinstall"),
    ],
)
def test_a_module_that_does_not_load_is_broken(reason: str, mend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load = importlib.import_module

    def fail(name: str) -> ModuleType:
        if name == "cv2":
            raise ImportError(reason)
        return load(name)

    monkeypatch.setattr(importlib, "import_module", fail)
    line = examine("install", code=1)["opencv-python"]
    assert line["state"] == "broken"
    assert reason in line["text"]
    assert line["mend"].startswith(mend)


def test_a_python_that_is_too_old_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(livestyle.doctor.packages, "LEAST_PYTHON", (99, 0))
    line = examine("install", code=1)["Python"]
    assert line["mend"] == "install Python 99.0 or newer, then again"
