import os
import shutil

import numpy as np
import pytest
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.embedding import resuming
from landmarkzoo.photos import open_photo


def interrupted(model, photos, out, after, **options):
    """Embed until some photos are done, then be interrupted."""
    done = []

    class Stopping:
        def __call__(self, image):
            done.append(image)
            if len(done) > after:
                raise KeyboardInterrupt
            return lz.create_transform(model)(image)

        def __repr__(self):
            return repr(lz.create_transform(model))

    with pytest.raises(KeyboardInterrupt):
        lz.embed(model, photos, transform=Stopping(), batch_size=1, progress=False, out=out, **options)


def test_out_resumes_after_a_kill(photo_folder, tmp_path, tiny_model, monkeypatch):
    monkeypatch.setattr("landmarkzoo.embedding.embedding_job.PART_SIZE", 3)
    out = tmp_path / "index.safetensors"
    expected = lz.embed(tiny_model, photo_folder, progress=False)
    calls = []

    def counting(image):
        calls.append(image)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return transform(image)

    class Named:  # one repr in both runs: the transform is part of the job's identity
        def __call__(self, image):
            return counting(image)

        def __repr__(self):
            return "counting"

    transform = lz.create_transform(tiny_model)
    with pytest.raises(KeyboardInterrupt):
        lz.embed(tiny_model, photo_folder, transform=Named(), batch_size=1, progress=False, out=out)
    assert not out.exists()
    calls[:] = [None] * 100
    d = lz.embed(tiny_model, photo_folder, transform=Named(), batch_size=1, progress=False, out=out)
    assert len(calls) - 100 == 4  # 7 of 11 stood in parts, the last one written on the interrupt
    assert d.ids == expected.ids
    np.testing.assert_allclose(d.vectors, expected.vectors, atol=2e-6)
    np.testing.assert_array_equal(lz.Descriptors.load(out).vectors, d.vectors)
    assert list(tmp_path.glob("*.parts")) == []


def descriptors(ids, skipped=()):
    return lz.Descriptors(ids, np.ones((len(ids), 2)), list(skipped), {"model": "m"})


def parts_of(job, out, keep_skipped=True):
    return resuming.FinishedParts(out, job, {"model": "m"}, keep_skipped=keep_skipped)


def test_parts_of_two_jobs_do_not_touch_each_other(tmp_path, caplog):
    one, other = parts_of("1" * 16, tmp_path / "x"), parts_of("2" * 16, tmp_path / "x")
    parts_of("3" * 16, tmp_path / "x.csv").add(0, descriptors(["z"]))  # of another file
    one.add(0, descriptors(["a", "b"]))
    one.add(2, descriptors([], [("c", "bad")]))
    other.add(0, descriptors(["d"]))
    assert [part.ids for part in one.load()] == [["a", "b"], []]
    assert [part.ids for part in other.load()] == [["d"]]
    assert [part.ids for part in parts_of("1" * 16, tmp_path / "x", keep_skipped=False).load()] == [
        ["a", "b"]
    ]
    assert [record.args[0].name for record in caplog.records] == [f"x.{'2' * 16}.parts"]
    other.remove()
    assert len(list(one.load())) == 2
    one.remove()
    assert [path.name for path in tmp_path.iterdir()] == [f"x.csv.{'3' * 16}.parts"]


def test_parts_that_are_not_whole_or_not_of_this_version_are_embedded_again(tmp_path):
    parts = parts_of("1" * 16, tmp_path / "x")
    paths = [parts.folder / f"{position:09d}.safetensors" for position in (0, 2, 3)]

    def write():
        for position, ids in ((0, "ab"), (2, "c"), (3, "de")):
            parts.add(position, descriptors(list(ids)))

    write()
    assert [part.ids for part in parts.load()] == [["a", "b"], ["c"], ["d", "e"]]
    paths[1].write_bytes(paths[1].read_bytes()[:-3])
    assert [part.ids for part in parts.load()] == [["a", "b"]]
    parts.add(2, descriptors(["c", "d"]))  # embedded again, in another rhythm: nothing counts twice
    assert [part.ids for part in parts.load()] == [["a", "b"], ["c", "d"]]
    write()
    for other in (b"descriptors.v2", b"descriptors.v0"):
        paths[0].write_bytes(paths[0].read_bytes().replace(b"descriptors.v1", other))
        assert list(parts.load()) == []
        write()
    paths[2].unlink()
    assert [part.ids for part in parts.load()] == [["a", "b"], ["c"]]


@pytest.mark.parametrize("change", ["order", "content", "time", "folder", "precision", "arrays"])
def test_what_is_another_job_starts_anew(change, photo_folder, tmp_path, tiny_model, monkeypatch):
    monkeypatch.setattr("landmarkzoo.embedding.embedding_job.PART_SIZE", 3)
    out, options = tmp_path / "x", {}
    photos = [str(photo_folder / f"{i}.png") for i in range(6)]
    if change == "arrays":
        photos = [np.asarray(open_photo(path)) for path in photos]
    if change == "folder":
        photos = photo_folder
    if change == "time":
        photos[1] = tmp_path / "uncompressed.bmp"
        Image.new("RGB", (80, 64), (200, 9, 9)).save(photos[1])
        before = photos[1].stat()
    interrupted(tiny_model, photos, out, 5, **({"precision": "bfloat16"} if change == "precision" else {}))
    assert len(list(tmp_path.glob("x.*.parts/000000000.safetensors"))) == (change != "arrays")
    if change in ("order", "arrays"):
        photos = photos[::-1]
    if change == "content":
        Image.new("RGB", (33, 44), (9, 200, 9)).save(photos[1])
    if change == "time":  # another photo in as many bytes
        Image.new("RGB", (80, 64), (9, 200, 9)).save(photos[1])
        assert photos[1].stat().st_size == before.st_size
        os.utime(photos[1], ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    if change == "folder":
        photos = tmp_path / "other"
        shutil.copytree(photo_folder, photos)
        Image.new("RGB", (33, 44), (9, 200, 9)).save(photos / "1.png")
    expected = lz.embed(tiny_model, photos, progress=False, batch_size=1)
    ours = lz.embed(tiny_model, photos, progress=False, batch_size=1, out=out, **options)
    assert ours.ids == expected.ids
    np.testing.assert_array_equal(ours.vectors, expected.vectors)
    assert ours.provenance == expected.provenance
