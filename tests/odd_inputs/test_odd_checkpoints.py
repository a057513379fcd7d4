"""Checkpoints and what belongs to them, of every odd kind."""

import os
import pickle
from pathlib import Path

import pytest
from odd_cases import Command, params
from odd_files import Evil, write

CONVERT = "convert odd.pth dolg_efficientnet_b5 --out new"

CHECKPOINTS = [
    Command("no checkpoint", CONVERT, "there is no checkpoint odd.pth"),
    Command(
        "checkpoint of no bytes",
        CONVERT,
        "odd.pth is empty: copy or download it again",
        make=write("odd.pth", b""),
    ),
    Command(
        "checkpoint that is a photo",
        "convert photos/tower/0.png dolg_efficientnet_b5 --out new",
        "photos/tower/0.png: damaged, or not a checkpoint that",
    ),
    Command(
        "checkpoint that is a folder",
        "convert photos dolg_efficientnet_b5 --out new",
        "photos is a folder: give the checkpoint file in it",
    ),
    Command(
        "checkpoint that is a pipe",
        CONVERT,
        "there is no checkpoint odd.pth",
        make=lambda: os.mkfifo("odd.pth"),
    ),
    Command(
        "checkpoint that is a device",
        "convert /dev/zero dolg_efficientnet_b5 --out new",
        "there is no checkpoint /dev/zero",
    ),
    Command(
        "checkpoint of a pickled bomb",
        CONVERT,
        "odd.pth: damaged, or not a checkpoint that torch.load reads",
        make=lambda: Path("odd.pth").write_bytes(pickle.dumps(Evil())),
    ),
    Command(
        "checkpoint that is descriptors",
        "convert index.st dolg_efficientnet_b5 --out new",
        "index.st: damaged, or not a checkpoint that torch.load reads",
    ),
    Command(
        "class names that are no list",
        f"{CONVERT} --class-names c.json",
        "--class-names: c.json must hold a list of names, got a dict",
        make=write("c.json", '{"a": 1}'),
    ),
    Command(
        "class names that are numbers",
        f"{CONVERT} --class-names c.json",
        "--class-names: c.json must hold names, got None among them",
        make=write("c.json", "[1, null]"),
    ),
    Command(
        "class names in latin-1",
        f"{CONVERT} --class-names c.txt",
        "--class-names: c.txt is not UTF-8: 'utf-8' codec can't decode",
        make=write("c.txt", "M\xfcnster".encode("latin-1")),
    ),
    Command(
        "class names nested without end",
        f"{CONVERT} --class-names c.json",
        "--class-names: c.json is damaged: maximum recursion depth",
        make=write("c.json", "[" * 99_999),
    ),
    Command(
        "class names that are a folder",
        f"{CONVERT} --class-names photos",
        "--class-names: there is no file photos",
    ),
    Command(
        "out is a file",
        "convert index.st dolg_efficientnet_b5 --out labels.csv",
        "cannot write the folder labels.csv: it is a file, or a link",
    ),
    Command(
        "out is below a file",
        "convert index.st dolg_efficientnet_b5 --out labels.csv/x",
        "cannot write the folder labels.csv/x: labels.csv is a file",
    ),
    Command(
        "out is a link to itself",
        "convert index.st dolg_efficientnet_b5 --out l",
        "cannot write the folder l: it is a file, or a link to nothing",
        make=lambda: Path("l").symlink_to("l"),
    ),
    Command(
        "sub-centers of 0",
        "convert index.st dolg_efficientnet_b5 --out new --sub-centers 0",
        "--sub-centers must be a positive integer, got 0",
    ),
    Command(
        "a setting twice",
        "convert index.st dolg_efficientnet_b5 --out new --set a=1 --set a=2",
        "--set a is given twice: which one is meant?",
    ),
]


@pytest.mark.parametrize("case", params(CHECKPOINTS))
def test_odd_checkpoint(case, world, capsys):
    case.check(world, capsys)
