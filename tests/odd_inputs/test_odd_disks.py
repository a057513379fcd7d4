"""Odd states of the disk: nothing may be lost, and nothing left behind."""

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
from odd_cases import Command, params

EMBED = "embed photos --model local-dir:model --quiet --out"
SEARCH = "search query.st index.st --out"
RECOGNIZE = "recognize query.st index.st --out"
EVALUATE = "evaluate photos index.st --out"
REPORT = "search query.st index.st --photos photos --report"
RERANK = "rerank query.st index.st --neighbors 2 --out"
WRITERS = {
    "embed": EMBED,
    "search": SEARCH,
    "recognize": RECOGNIZE,
    "evaluate": EVALUATE,
    "report": REPORT,
    "rerank": RERANK,
}


def link(target, name="l"):
    return lambda: Path(name).symlink_to(target)


def hard(target, name="h"):
    return lambda: os.link(target, name)


CASES = [
    # What is written is read, by another name.
    Command(
        "hard link to the index",
        f"{SEARCH} h --overwrite",
        "cannot write h: it is index.st, which is read; give another",
        make=hard("index.st"),
    ),
    Command(
        "hard link to the queries",
        f"{RECOGNIZE} h",
        "cannot write h: it is query.st, which is read; give another",
        make=hard("query.st"),
    ),
    Command(
        "hard link to a photo",
        f"{EMBED} h --overwrite",
        "cannot write descriptors to h: it is a file of another kind",
        make=hard("photos/tower/1.png"),
    ),
    Command(
        "hard link to the labels",
        f"{RECOGNIZE} h --labels labels.csv --overwrite",
        "cannot write h: it is labels.csv, which is read; give another",
        make=hard("labels.csv"),
    ),
    Command(
        "hard link to the weights",
        f"{EMBED} h --overwrite",
        "cannot write descriptors to h: it is a file of another kind",
        make=lambda: shutil.copytree(Path("model").resolve(), "m") and os.link("m/model.safetensors", "h"),
    ),
    Command(
        "link to a link to the index",
        f"{SEARCH} l2",
        "cannot write l2: it is index.st, which is read; give another",
        make=lambda: (link("index.st")(), link("l", "l2")()),
    ),
    Command(
        "through a folder and back",
        f"{SEARCH} photos/../index.st",
        "cannot write photos/../index.st: it is index.st, which is",
    ),
    Command(
        "through a link to the folder",
        f"{SEARCH} l/index.st",
        "cannot write l/index.st: it is index.st, which is read; give",
        make=link("."),
    ),
    Command(
        "through /proc",
        f"{SEARCH} /proc/self/cwd/index.st",
        "cannot write /proc/self/cwd/index.st: it is index.st, which",
    ),
    Command(
        "the photo that is embedded",
        "embed photos/tower/0.png --model local-dir:model --out photos/tower/0.png --overwrite",
        "cannot write photos/tower/0.png: it is photos/tower/0.png,",
    ),
    Command(
        "the one photo by a hard link without suffix",
        "embed photos/tower/0.png --model local-dir:model --out h --overwrite",
        "cannot write h: it is photos/tower/0.png, which is read; give",
        make=hard("photos/tower/0.png"),
    ),
    Command(
        "the index of --like",
        "embed photos --model local-dir:model --like index.st --out index.st --overwrite",
        "cannot write index.st: it is index.st, which is read; give",
    ),
    Command(
        "the folder of the model",
        f"{EMBED} model/config.json --overwrite",
        "cannot write descriptors to model/config.json: it is a saved",
    ),
    Command(
        "over a whitening",
        f"{EMBED} white.st --overwrite",
        "cannot write descriptors to white.st: it is a file of another",
    ),
    Command(
        "the second of the descriptors",
        "evaluate photos index.st query.st --out query.st --overwrite",
        "cannot write query.st: it is query.st, which is read; give",
    ),
    # Links, and files of others.
    Command("a link to nothing", f"{SEARCH} l", make=link("new.csv"), writes=("new.csv",), out="2 queries"),
    Command(
        "a link to nothing in no folder",
        f"{SEARCH} l",
        "cannot write l: the folder ",
        make=link("no/new.csv"),
    ),
    Command(
        "out is a link that leads to itself",
        f"{SEARCH} l",
        "cannot write l: Too many levels of symbolic links",
        make=link("l"),
    ),
    Command(
        "a link to a device",
        f"{SEARCH} l",
        "cannot write l: it is a device or a pipe, and no file",
        make=link("/dev/full"),
    ),
    Command(
        "a device that is full",
        f"{SEARCH} /dev/full",
        "cannot write /dev/full: it is a device or a pipe, and no file",
    ),
    Command(
        "the null device",
        f"{SEARCH} /dev/null",
        "cannot write /dev/null: it is a device or a pipe, and no file",
    ),
    Command(
        "a file below a file",
        f"{SEARCH} labels.csv/x",
        "cannot write labels.csv/x: the folder labels.csv does not",
    ),
    Command(
        "a folder below a photo",
        f"{EMBED} photos/tower/0.png/x.st",
        "cannot write photos/tower/0.png/x.st: the folder",
    ),
    Command(
        "a file of the system",
        f"{SEARCH} /proc/self/x.csv",
        "cannot write /proc/self/x.csv: No such file or directory",
    ),
    Command(
        "a sealed file of the system",
        f"{SEARCH} /proc/version --overwrite",
        "cannot write a table of results to /proc/version: it is a",
    ),
    Command(
        "an old file that is kept by a hard link",
        f"{SEARCH} r.csv --overwrite",
        writes=("r.csv",),
        out="2 queries",
        make=lambda: (Path("r.csv").write_text("query,rank,id,score\nold\n"), os.link("r.csv", "kept.csv")),
    ),
    Command(
        "an empty file by a hard link",
        f"{SEARCH} h",
        writes=("h",),
        make=lambda: (Path("e").touch(), os.link("e", "h")),
    ),
    Command(
        "a table that only begins so",
        f"{SEARCH} r.csv --overwrite",
        "cannot write a table of results to r.csv: it is a file of",
        make=lambda: Path("r.csv").write_text("query,rank,id,score,mine\n1"),
    ),
    Command(
        "a table with a mark before it",
        f"{SEARCH} r.csv --overwrite",
        "cannot write a table of results to r.csv: it is a file of",
        make=lambda: Path("r.csv").write_text("\ufeffquery,rank,id,score\n"),
    ),
    Command(
        "spaces only",
        f"{SEARCH} r.csv --overwrite",
        "cannot write a table of results to r.csv: it is a file of",
        make=lambda: Path("r.csv").write_text("   \n"),
    ),
    Command(
        "descriptors over a ranking",
        f"{EMBED} r.csv --overwrite",
        "cannot write descriptors to r.csv: it is a table of results",
        make=lambda: Path("r.csv").write_text("query,rank,id,score\n"),
    ),
    Command(
        "an old lock",
        f"{EMBED} x.st",
        out="6 photos",
        writes=("x.st", "x.st.lock"),
        make=lambda: Path("x.st.lock").write_text("{"),
    ),
    Command(
        "a folder where the lock would be",
        f"{EMBED} x.st",
        "x.st.lock: Is a directory",
        make=lambda: Path("x.st.lock").mkdir(),
    ),
    Command(
        "a lock of another program",
        f"{EMBED} poetry",
        "poetry.lock is in the way, which landmarkzoo did not write",
        make=lambda: Path("poetry.lock").write_text("# mine"),
    ),
    Command(
        "a pipe where the lock would be",
        f"{EMBED} x.st",
        "x.st.lock is in the way, which landmarkzoo did not write",
        make=lambda: os.mkfifo("x.st.lock"),
    ),
    Command(
        "a link where the lock would be",
        f"{EMBED} x.st",
        "x.st.lock: Too many levels of symbolic links",
        make=lambda: Path("x.st.lock").symlink_to("labels.csv"),
    ),
    Command("the report into the photos", f"{REPORT} photos/tower/r.html", writes=("photos/tower/r.html",)),
    Command(
        "vanished photos",
        "search query.st index.st --photos photos --report r.html",
        "none of the 6 photos of the report is in photos, such as",
        make=lambda: [p.unlink() for p in Path("photos").rglob("*.png")],
    ),
    Command(
        "one vanished photo",
        "search query.st index.st --photos photos --report r.html",
        warns="warning: 1 of 6 photos were not found in photos,",
        writes=("r.html",),
        make=lambda: Path("photos/bridge/0.png").unlink(),
    ),
    Command(
        "photos that are pipes",
        "search query.st index.st --photos photos --report r.html",
        warns="warning: 1 of 6 photos were not found in photos,",
        writes=("r.html",),
        make=lambda: (Path("photos/bridge/0.png").unlink(), os.mkfifo("photos/bridge/0.png")),
    ),
    Command(
        "whitened on a folder without photos",
        "embed photos --out x.st --whiten e",
        "no photos in e: looked for .avif, .bmp, .gif, .heic, .heif,",
        make=lambda: Path("e").mkdir(),
    ),
    Command(
        "whitened on one photo",
        "embed photos --out x.st --whiten photos/tower/0.png --image-size 32",
        "whitening needs at least 2 photos, got 1",
    ),
    Command(
        "whitened on a pipe",
        "embed photos --out x.st --whiten p",
        "neither a folder nor a file, nor a link to one: p",
        make=lambda: os.mkfifo("p"),
    ),
]


@pytest.mark.parametrize("case", params(CASES))
def test_odd_disk(case, world, capsys):
    case.check(world, capsys)


@pytest.fixture
def small(world):
    """The working folder on a disk of 64 kB, on which no byte is left."""
    folder = world / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("writer", WRITERS)
class TestNoRoom:
    def test_full(self, writer, world, small, capsys):
        with (small / "ballast").open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(4096))
                except OSError:
                    break
        Command("", f"{WRITERS[writer]} small/x", "cannot write small/x: No space left on device").check(
            world, capsys
        )

    def test_read_only(self, writer, world, small, capsys):
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        Command("", f"{WRITERS[writer]} small/x", "cannot write small/x: Read-only file system").check(
            world, capsys
        )

    def test_no_rights(self, writer, world, capsys):
        if os.geteuid() == 0:
            pytest.skip("root may do anything")
        (world / "locked").mkdir(mode=0o500)
        Command("", f"{WRITERS[writer]} locked/x", "cannot write locked/x: Permission denied").check(
            world, capsys
        )

    def test_files_may_not_grow(self, writer, world, capsys):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            Command("", f"{WRITERS[writer]} x", "cannot write x: File too large").check(world, capsys)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    def test_the_working_directory_is_gone(self, writer, world, capsys):
        gone = world / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
        line = (
            WRITERS[writer]
            .replace("index.st", str(world / "index.st"))
            .replace("query.st", str(world / "query.st"))
        )
        line = line.replace("local-dir:model", f"local-dir:{world / 'model'}").replace(
            " photos", f" {world / 'photos'}"
        )
        Command("", f"{line} x", "the folder that the command runs in is gone").check(world, capsys)
