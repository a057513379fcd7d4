"""Commands overwrite nothing of the user's, and say what they cannot write before they start."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.cli import main, outputs


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder to work in: photos in folders of two landmarks, their index, queries, and labels."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    ids = [f"place{place}/{n}.png" for place in range(2) for n in range(3)]
    for id_ in ids:
        path = tmp_path / "photos" / id_
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(path)
    lz.Descriptors(ids, random.standard_normal((6, 8))).save("index.st")
    lz.Descriptors(ids[:2], random.standard_normal((2, 8))).save("query.st")
    lz.Index.create("index").add(lz.Descriptors.load("index.st"), labels="folder")
    (tmp_path / "labels.csv").write_text("id,label\n" + "".join(f"{i},{i[:6]}\n" for i in ids))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "empty").touch()
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(capsys, folder, *arguments):
    """The line of an error, after which every file is as it was."""
    before = contents(folder)
    assert main([str(a) for a in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert contents(folder) == before
    return err.removeprefix("landmarkzoo: error: ").strip()


REPORT = ["--photos", "photos"]
WRITERS = {
    "search": ["search", "query.st", "index.st", "--out"],
    "search --report": ["search", "query.st", "index.st", *REPORT, "--report"],
    "rerank": ["rerank", "query.st", "index.st", "--neighbors", "2", "--out"],
    "recognize": ["recognize", "query.st", "index.st", "--labels", "labels.csv", "--out"],
    "evaluate": ["evaluate", "photos", "index.st", "--out"],
    "embed": ["embed", "photos", "--image-size", "32", "--quiet", "--out"],
    "demo": ["demo", "--photos", "photos", "--quiet", "--out"],
    "clean": ["clean", "index.st", "--labels", "labels.csv", "--out"],
    "index search": ["index", "search", "index", "query.st", "--out"],
    "index duplicates": ["index", "duplicates", "index", "--out"],
    "index suspicious": ["index", "suspicious", "index", "--out"],
}
READ = {
    "search": ["index.st", "query.st"],
    "search --report": ["index.st", "query.st"],
    "rerank": ["index.st", "query.st"],
    "recognize": ["index.st", "query.st", "labels.csv"],
    "evaluate": ["index.st"],
    "embed": ["photos/place0/1.png"],
    "demo": ["photos/place0/1.png"],
    "clean": ["index.st", "labels.csv"],
    "index search": ["query.st"],
}


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]], ids=["", "overwrite"])
@pytest.mark.parametrize("command", WRITERS)
class TestRefused:
    def test_what_is_read(self, capsys, files, command, overwrite):
        for name in READ.get(command, []):
            line = refused(capsys, files, *WRITERS[command], name, *overwrite)
            assert "which is read" in line or "that is the name of a photo" in line

    def test_what_is_read_through_links(self, capsys, files, command, overwrite):
        name = READ.get(command, ["labels.csv"])[0]
        Path("soft").symlink_to(files / name)
        os.link(name, "hard")
        for link in ("soft", "hard"):
            line = refused(capsys, files, *WRITERS[command], link, *overwrite)
            assert "which is read" in line or "it is a file of another kind" in line

    def test_files_of_another_kind(self, capsys, files, command, overwrite):
        line = refused(capsys, files, *WRITERS[command], "notes.txt", *overwrite)
        assert "notes.txt: it is a file of another kind already; give another name, or delete it" in line

    def test_the_name_of_a_photo(self, capsys, files, command, overwrite):
        line = refused(capsys, files, *WRITERS[command], "photos/place0/new.jpg", *overwrite)
        way_out = "one outside of their folder" if command == "demo" else "another, such as new."
        assert f"that is the name of a photo; give {way_out}" in line

    def test_no_folder_or_device(self, capsys, files, command, overwrite):
        assert "the folder no does not exist" in refused(
            capsys, files, *WRITERS[command], "no/where", *overwrite
        )
        assert "it is a folder" in refused(capsys, files, *WRITERS[command], "photos/place0", *overwrite)
        os.mkfifo("pipe")
        assert "a device or a pipe" in refused(capsys, files, *WRITERS[command], "pipe", *overwrite)


@pytest.mark.parametrize("command", WRITERS)
def test_the_same_again_needs_overwrite(capsys, files, command):
    arguments = [*WRITERS[command], "empty"]  # with nothing in it, as mktemp makes it
    assert main(arguments) == 0
    first = (files / "empty").read_bytes()
    capsys.readouterr()
    line = refused(capsys, files, *arguments)
    assert line == "empty exists: give --overwrite to replace it, or another name"
    assert main([*arguments, "--overwrite"]) == 0
    if command not in ("embed", "demo"):
        assert (files / "empty").read_bytes() == first
    capsys.readouterr()
    for other in set(WRITERS) - {command, "search", "rerank", "index search"}:  # which write the same kind
        line = refused(capsys, files, *WRITERS[other], "empty", "--overwrite")
        assert f"it is {next(k.name for k in outputs._KINDS if k.fits(first))} already" in line


def test_two_outputs_need_two_names(capsys, files):
    Path("link").symlink_to(files / "not_there_yet")
    for out, report in (("x", "x"), ("x", "photos/../x"), ("link", "not_there_yet")):
        line = refused(capsys, files, *WRITERS["search --report"], report, "--out", out)
        assert "--out and --report are both" in line


def test_a_target_that_cannot_be_written_is_known_before_the_work(capsys, files):
    (files / "broken").mkdir()
    (files / "broken" / "place").mkdir()
    (files / "broken" / "place" / "a.jpg").write_bytes(b"no photo")  # the first step of work would say so
    (files / "here").symlink_to("/proc/no_file_can_be_made_here")
    for command in ("embed", "demo"):
        arguments = [a if a != "photos" else "broken" for a in WRITERS[command]]
        assert "cannot write here" in refused(capsys, files, *arguments, "here")


def test_the_picture_of_the_demo_gets_a_free_name(capsys, files):
    options = ["demo", "--photos", "photos", "--quiet"]
    (files / "landmarkzoo_demo.png").write_bytes(b"mine")
    assert main(options) == 0
    assert "landmarkzoo_demo_2.png" in capsys.readouterr().out
    assert main(options) == 0
    assert "landmarkzoo_demo_3.png" in capsys.readouterr().out
    assert (files / "landmarkzoo_demo.png").read_bytes() == b"mine"
    line = refused(capsys, files, *options, "--overwrite")
    assert "landmarkzoo_demo.png: it is a file of another kind already" in line


class TestModelFolders:
    @pytest.fixture
    def convert(self, files):
        """Arguments that get as far as the checkpoint, which is damaged."""
        (files / "c.pth").write_bytes(b"no checkpoint")
        return ["convert", "c.pth", "dolg_efficientnet_lite0"]

    def test_folders_are_made_for_a_model_only(self, capsys, files, convert):
        assert "c.pth: damaged" in refused(capsys, files, *convert, "new/folder")
        assert not (files / "new").exists()
        assert "give the folder to write once" in refused(capsys, files, *convert)
        assert "give the folder to write once" in refused(capsys, files, *convert, "a", "--out", "b")
        assert "c.pth: damaged" in refused(capsys, files, *convert, "--out", "b")

    def test_only_models_are_replaced(self, capsys, files, convert):
        (files / "other").mkdir()
        (files / "other" / "model.safetensors").write_bytes(b"of another library")
        line = refused(capsys, files, *convert, "other", "--overwrite")
        assert "model.safetensors: it is a file of another kind already" in line
        lz.create_model("efficientnet_lite0_gem", embedding_dim=8).save_pretrained("ours")
        assert "config.json exists: give --overwrite" in refused(capsys, files, *convert, "ours")
        assert "c.pth: damaged" in refused(capsys, files, *convert, "ours", "--overwrite")
        shutil.copy("c.pth", "ours/model.safetensors")
        line = refused(capsys, files, "convert", "ours/model.safetensors", convert[2], "ours", "--overwrite")
        assert "which is read" in line


def test_lists_of_gldv2(capsys, files):
    metadata = files / "gldv2" / "metadata"
    metadata.mkdir(parents=True)
    (metadata / "train.csv").write_text("id,url,landmark_id\n0a1a,,5\n0a1b,,5\n0a1c,,9\n")
    (metadata / "train_clean.csv").write_text("landmark_id,images\n5,0a1a\n9,0a1c\n")
    (files / "lists").mkdir()
    arguments = ["gldv2", "gldv2", "--out", "lists", "--quiet"]
    assert main(arguments) == 0
    capsys.readouterr()
    assert "exists: give --overwrite" in refused(capsys, files, *arguments)
    assert main([*arguments, "--overwrite"]) == 0
    capsys.readouterr()
    (files / "lists" / "gldv2_classes.csv").write_text("mine")
    assert "it is a file of another kind" in refused(capsys, files, *arguments, "--overwrite")
    (files / "lists" / "gldv2_classes.csv").unlink()
    os.link(metadata / "train.csv", files / "lists" / "gldv2_classes.csv")
    assert "which is read" in refused(capsys, files, *arguments, "--overwrite")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounts a full disk: needs root")
def test_a_full_or_read_only_disk_is_known_before_the_work(files):
    (files / "disk").mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", "disk"], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        with suppress(OSError):
            (files / "disk" / "filler").write_bytes(bytes(16 << 10))
        for remount in (None, ["mount", "-o", "remount,ro", "disk"]):
            if remount:
                subprocess.run(remount, check=True)
            command = [sys.executable, "-m", "landmarkzoo", *WRITERS["embed"], "disk/x.st"]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 2
            assert done.stderr.startswith("landmarkzoo: error: cannot write disk/x.st")
            assert done.stderr.count("\n") == 1
            assert [path.name for path in Path("disk").iterdir()] == ["filler"]
    finally:
        subprocess.run(["umount", "disk"], check=True)
