from __future__ import annotations

import logging
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from train.options import TrainingOptions
from train.trainer import Trainer

pytestmark = pytest.mark.train


def test_damaged_and_tiny_images_are_skipped_with_one_warning(
    options: TrainingOptions, images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(images, tmp_path / "some damaged"))
    for number in range(4):
        (folder / f"bad{number}.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    Image.new("RGB", (20, 20)).save(folder / "tiny.png")
    with caplog.at_level(logging.WARNING):
        Trainer(replace(options, content_path=[folder], max_iter=10, stages="frame:1")).run()
    first, summary = (r.getMessage() for r in caplog.records if r.name.startswith("train"))
    assert first.startswith("skipping pictures")
    assert summary.startswith("5 pictures were damaged")


@pytest.mark.parametrize("is_renamed", [True, False])
def test_a_cached_crop_of_other_images_is_not_taken_for_these(
    options: TrainingOptions, images: Path, tmp_path: Path, is_renamed: bool
) -> None:
    options = replace(options, cache=1)
    Trainer(options)
    others = Path(shutil.copytree(images, tmp_path / "others"))
    for path in others.iterdir():
        if is_renamed:
            path.rename(path.with_name(f"other-{path.name}"))
        else:
            with Image.open(path) as image:
                image.rotate(180).resize((100, 80)).save(path)
    banks = {p.name for p in options.checkpoint.glob("content-*.bank.pt")}
    Trainer(replace(options, content_path=[others]))
    assert len({p.name for p in options.checkpoint.glob("content-*.bank.pt")} - banks) == 1


def test_cached_features_of_another_precision_are_not_taken(options: TrainingOptions, tmp_path: Path) -> None:
    features = tmp_path / "features"
    options = replace(options, cache=1, features=features, max_iter=1, stages="frame:1")
    for precision in ("32", "bf16"):
        trainer = Trainer(replace(options, precision=precision, checkpoint=tmp_path / precision))
        trainer.run()
        assert trainer.validation["style"] > 0
    for kind in ("content", "style", "held-out-content", "held-out-style"):
        assert len(list(features.glob(f"{kind}-????????????????.bank.pt"))) == 2


def test_every_epoch_pairs_images_anew(options: TrainingOptions, tmp_path: Path) -> None:
    """Where there are as many of each kind too; the grey level of an image is its name here."""
    folder = tmp_path / "grey"
    folder.mkdir()
    for level in range(0, 250, 25):
        Image.new("RGB", (80, 80), (level, level, level)).save(folder / f"{level}.png")
    trainer = Trainer(replace(options, content_path=[folder], style_path=[folder]))
    pairs = {
        pair
        for batch in trainer.batches.iterate(0, 20)
        for pair in zip(batch.content[:, 0, 0, 0].tolist(), batch.style[:, 0, 0, 0].tolist(), strict=True)
    }
    assert len(pairs) > 20


def test_a_tar_file_is_read_like_its_folder(options: TrainingOptions, images: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        for path in sorted(images.iterdir()):
            archive.add(path, path.name)
    runs = [
        Trainer(replace(options, content_path=[source], checkpoint=tmp_path / name, max_iter=1, stages="frame:1"))
        for name, source in (("folder", images), ("tar", tmp_path / "images.tar"))
    ]
    for run in runs:
        run.run()
    first, second = (run.model.state_dict() for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)
