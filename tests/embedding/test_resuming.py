import os
import shutil

import numpy as np
import pytest
import torch
from first_pixel import FirstPixel, embed, interrupt, names
from first_pixel import interrupted as first_pixel_interrupted
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.embedding import resuming
from landmarkzoo.photos import open_photo
from landmarkzoo.retrieval.shard_files import FileState


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


ALL = list("abcde")


def parts_of(job, out, ids=ALL, states=None, keep_skipped=True):
    photos = list(zip(ids, states or [FileState(ord(id_), 1) for id_ in ids]))
    return resuming.FinishedParts(out, job, photos, keep_skipped=keep_skipped)


def vectors(count):
    return np.ones((count, 2), np.float32)


def loaded(parts):
    return [(part.ids, [photo.id for photo in part.skipped]) for part in parts.load()]


def test_parts_of_two_jobs_do_not_touch_each_other(tmp_path, caplog):
    one, other = parts_of("1" * 16, tmp_path / "x"), parts_of("2" * 16, tmp_path / "x", ["d"])
    parts_of("3" * 16, tmp_path / "x.csv").add(0, ["a"], vectors(1), [])  # of another file
    one.add(0, ["a", "b"], vectors(2), [])
    one.add(2, [], vectors(0), [("c", "bad")])
    other.add(0, ["d"], vectors(1), [])
    assert loaded(one) == [(["a", "b"], []), ([], ["c"])]
    assert loaded(other) == [(["d"], [])]
    assert loaded(parts_of("1" * 16, tmp_path / "x", keep_skipped=False)) == [(["a", "b"], [])]
    assert [record.args[0].name for record in caplog.records] == [f"x.{'2' * 16}.parts"]
    other.remove()
    assert len(list(one.load())) == 2
    one.remove()
    assert [path.name for path in tmp_path.iterdir()] == [f"x.csv.{'3' * 16}.parts"]


def test_parts_that_are_not_whole_or_not_of_this_version_are_embedded_again(tmp_path):
    parts = parts_of("1" * 16, tmp_path / "x")

    def write():
        for position, ids in ((0, "ab"), (2, "c"), (3, "de")):
            parts.add(position, list(ids), vectors(len(ids)), [])

    write()
    paths = sorted(parts.folder.iterdir())
    assert [path.stem[:9] for path in paths] == ["000000000", "000000002", "000000003"]
    assert [ids for ids, _ in loaded(parts)] == [["a", "b"], ["c"], ["d", "e"]]
    paths[1].write_bytes(paths[1].read_bytes()[:-3])
    assert [ids for ids, _ in loaded(parts)] == [["a", "b"]]
    write()
    damaged = paths[1].read_bytes().replace(np.float32(1).tobytes(), np.float32(2).tobytes(), 1)
    paths[1].write_bytes(damaged)  # on a bad disk
    assert [ids for ids, _ in loaded(parts)] == [["a", "b"]]
    parts.add(2, ["c", "d"], vectors(2), [])  # embedded again, in another rhythm: nothing counts twice
    assert [ids for ids, _ in loaded(parts)] == [["a", "b"], ["c", "d"]]
    parts.remove()
    write()
    for other in (b"shard.v2", b"shard.v0"):
        paths[0].write_bytes(paths[0].read_bytes().replace(b"shard.v1", other))
        assert loaded(parts) == []
        write()
    paths[2].unlink()
    assert [ids for ids, _ in loaded(parts)] == [["a", "b"], ["c"]]


def test_parts_are_reused_up_to_the_first_photo_that_is_another_one(tmp_path):
    parts = parts_of("1" * 16, tmp_path / "x")
    parts.add(0, ["a"], vectors(1), [("b", "bad")])
    parts.add(2, ["c", "d"], vectors(2), [])
    parts.add(4, ["e"], vectors(1), [])

    def photos(ids, changed=()):
        states = [FileState(ord(id_), 2 if id_ in changed else 1) for id_ in ids]
        return sum(map(len, parts_of("1" * 16, tmp_path / "x", list(ids), states).load()))

    assert photos("abcde") == 5
    assert photos("abcdef") == 4  # the last batch would be larger
    assert photos("abcd") == 2
    assert photos("abc") == 2
    assert photos("abdce") == 2
    assert photos("bacde") == 0
    assert photos("abcde", changed="d") == 2
    assert photos("abcde", changed="b") == 0  # it may be readable now


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
    assert len(list(tmp_path.glob("x.*.parts/000000000-*.safetensors"))) == (change != "arrays")
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


class Mixing(torch.nn.Module):
    """A descriptor depends on its whole batch, as the last bits of real ones may."""

    def forward(self, images):
        return images.flatten(1) + images.flatten(1).mean(dim=0)


@pytest.mark.parametrize(
    ("change", "reused"), [("Zz.png", 6), ("2a.png", 2), ("00.png", 0), ("touch", 4), ("remove", 2)]
)
def test_photos_that_change_meanwhile_cost_what_comes_behind_them(
    change, reused, photo_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("landmarkzoo.embedding.embedding_job.PART_SIZE", 2)

    def run(out, transform):
        options = {"batch_size": 2, "progress": False}
        return lz.embed(Mixing(), photo_folder, transform=transform, out=out, **options)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "x", FirstPixel(8, interrupt))
    if change == "touch":
        os.utime(photo_folder / "5.png", ns=(1, 1))
    elif change == "remove":
        (photo_folder / "3.png").unlink()
    else:
        shutil.copy(photo_folder / "5.png", photo_folder / change)
    rest = FirstPixel()
    d, expected = run(tmp_path / "x", rest), run(None, FirstPixel())
    assert (d.ids, rest.seen) == (expected.ids, len(expected) - reused)
    np.testing.assert_array_equal(d.vectors, expected.vectors)
    assert names(tmp_path) == ["x"]


def test_a_job_that_becomes_a_long_one_starts_anew(tmp_path):
    """What makes long jobs faster may change the last bits."""
    for number in range(63):
        Image.new("RGB", (4, 4), (number, 1, 1)).save(tmp_path / f"{number:02d}.png")
    first_pixel_interrupted(tmp_path, tmp_path / "x", 60)
    Image.new("RGB", (4, 4), (63, 1, 1)).save(tmp_path / "63.png")
    rest = FirstPixel()
    embed(tmp_path, tmp_path / "x", rest)
    assert rest.seen == 64
