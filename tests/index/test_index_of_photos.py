"""lz.Index with photos: what lz.embed gives, and only what is new or changed is embedded."""

import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.embedding import long_jobs


class Counting:
    """A transform that counts the photos that went through it."""

    def __init__(self, model):
        self.inner, self.count = lz.create_transform(model), 0

    def __call__(self, photo):
        self.count += 1
        return self.inner(photo)

    def __repr__(self):
        return "Counting()"

    def since(self):
        count, self.count = self.count, 0
        return count


@pytest.fixture
def counting(tiny_model):
    return Counting(tiny_model)


@pytest.fixture
def index(tiny_model, tmp_path, counting):
    return lz.Index.create(tmp_path / "index", tiny_model, transform=counting, batch_size=4)


def add(index, photos, **options):
    index.add(photos, progress=False, **options)


def paint(path, color):
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (80, 64), color).save(path)
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))  # also on a disk whose clock is coarse


def test_the_descriptors_are_those_of_embed(index, tiny_model, photo_folder, counting):
    wanted = lz.embed(tiny_model, photo_folder, transform=counting, batch_size=4, progress=False)
    add(index, photo_folder)
    assert index.ids == wanted.ids
    ours, theirs = dict(index.provenance), dict(wanted.provenance)
    precision = ours.pop("precision"), theirs.pop("precision")  # an index is made for many photos
    assert precision == ("bfloat16" if "precision_cosine" in ours else "float32", "float32")
    ours.pop("precision_cosine", None)
    assert ours == theirs
    assert (index.vectors * wanted.vectors).sum(axis=1).min() > 0.9995


@pytest.mark.parametrize("native", [True, False])
def test_precision_is_decided_once(tiny_model, photo_folder, tmp_path, monkeypatch, native):
    monkeypatch.setattr(long_jobs, "has_native_bfloat16", lambda: native)
    monkeypatch.setattr(long_jobs, "LEAST_COSINE", 0.0)
    index = lz.Index.create(tmp_path / "a", tiny_model, batch_size=4)
    assert index.provenance["precision"] == ("bfloat16" if native else "float32")
    assert ("precision_cosine" in index.provenance) == native
    add(index, photo_folder)
    in_two_calls = lz.Index.create(tmp_path / "b", tiny_model, batch_size=4)
    monkeypatch.setattr(long_jobs, "has_native_bfloat16", lambda: not native)  # another machine
    paths = lz.photos.photo_source(photo_folder)
    add(in_two_calls, paths.take(range(4)))
    add(lz.Index.open(tmp_path / "b", model=tiny_model), paths)
    np.testing.assert_array_equal(in_two_calls.vectors, index.vectors)
    query = index.snapshot()._queries(photo_folder / "3.png")
    assert query.provenance["precision"] == "float32"


def test_a_precision_that_is_given_stays(tiny_model, photo_folder, tmp_path):
    index = lz.Index.create(tmp_path / "a", tiny_model, precision="bfloat16")
    add(index, photo_folder)
    assert index.provenance["precision"] == "bfloat16"
    assert "precision_cosine" not in index.provenance
    assert index.snapshot()._queries(photo_folder / "3.png").provenance["precision"] == "bfloat16"


def test_photos_find_themselves(index, tiny_model, photo_folder, counting):
    wanted = lz.embed(tiny_model, photo_folder, transform=counting, batch_size=4, progress=False)
    add(index, photo_folder)
    assert index.search(wanted, 1).ids[:, 0].tolist() == wanted.ids


def test_only_what_is_new_or_changed_is_embedded(index, photo_folder, counting):
    add(index, photo_folder)
    assert counting.since() == 11
    generation = index.info.generation
    add(index, photo_folder)
    assert counting.since() == 0
    assert index.info.generation == generation
    paint(photo_folder / "b/new.png", "red")
    paint(photo_folder / "3.png", "blue")
    add(index, photo_folder)
    assert counting.since() == 2
    assert len(index) == 12
    assert index.ids[-2:] == ["3.png", "b/new.png"]
    assert index.search(Image.new("RGB", (80, 64), "blue"), 1).ids == "3.png"


def test_update_drops_what_has_vanished_from_its_folder_only(index, photo_folder, tmp_path):
    add(index, photo_folder)
    paint(tmp_path / "more/other.png", "green")
    add(index, tmp_path / "more")
    add(index, [np.zeros((40, 40, 3), np.uint8)], ids=["in memory"])
    (photo_folder / "2.png").unlink()
    (photo_folder / "Z.JPG").unlink()
    add(index, photo_folder)
    assert "2.png" in index  # add takes nothing out
    index.update(photo_folder, progress=False)
    assert len(index) == 11
    assert "2.png" not in index
    assert "other.png" in index
    assert "in memory" in index
    with pytest.raises(NotADirectoryError, match="update takes a folder"):
        index.update(photo_folder / "1.png")
    for file in (tmp_path / "more").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match="no photos in"):  # its disk may be away
        index.update(tmp_path / "more")
    assert "other.png" in index


def test_skipped_photos_are_tried_again_when_they_change(index, photo_folder, counting, tmp_path):
    bad = photo_folder / "b/bad.png"
    bad.write_bytes(b"no photo")
    add(index, photo_folder)
    assert [id_ for id_, _ in index.skipped] == ["b/bad.png"]
    assert "not an image" in index.skipped[0][1]
    counting.since()
    add(lz.Index.open(tmp_path / "index", transform=counting), photo_folder)
    assert counting.since() == 0
    with pytest.raises(lz.PhotoError, match=r"b/bad\.png"):
        add(index, photo_folder, on_error="raise")
    paint(bad, "red")
    add(index, photo_folder)
    assert index.skipped == []
    assert "b/bad.png" in index
    bad.write_bytes(b"no photo again")
    add(index, photo_folder)
    assert "b/bad.png" not in index
    assert len(index.skipped) == 1
    bad.unlink()
    index.update(photo_folder, progress=False)
    assert index.skipped == []
    add(index, [tmp_path / "missing.jpg"])
    index.remove(str(tmp_path / "missing.jpg"))
    assert index.skipped == []


def test_an_iterator_is_never_read_whole(index, counting):
    ahead = []

    def photos():
        for number in range(300):
            ahead.append(number - counting.count)
            yield f"photo {number}", np.full((20, 20, 3), number % 256, np.uint8)

    add(index, photos(), labels={"photo 7": "seven"})
    assert len(index) == 300
    assert max(ahead) <= 129
    assert index.labels[7] == "seven"
    counting.since()
    add(index, photos())
    assert counting.since() == 0
    with pytest.raises(TypeError, match="an iterator gives paths, or pairs of id and photo, got ndarray"):
        add(index, (np.zeros((9, 9, 3), np.uint8) for _ in range(2)))
    with pytest.raises(TypeError, match="labels of an iterator are a dictionary"):
        add(index, photos(), labels=[1])
    with pytest.raises(ValueError, match="two photos have the id 'photo 0'"):
        add(index, [*photos(), *photos()])


def test_a_stream_of_paths_is_like_the_list(index, tiny_model, photo_folder, tmp_path, counting):
    paths = sorted(photo_folder.rglob("*.png"))
    other = lz.Index.create(tmp_path / "other", tiny_model, transform=counting, batch_size=4)
    add(index, paths)
    add(other, iter(paths))
    assert other.ids == index.ids == [str(path) for path in paths]
    np.testing.assert_array_equal(other.vectors, index.vectors)


def test_images_in_memory_need_names(index):
    images = np.random.default_rng(0).integers(0, 255, (3, 30, 30, 3), np.uint8)
    with pytest.raises(ValueError, match=r"images in memory have no names.*ids="):
        add(index, images)
    with pytest.raises(ValueError, match="got 2 ids for 3 photos"):
        add(index, images, ids=["a", "b"])
    add(index, images, ids=["a", "b", "c"], labels=["x", None, "y"])
    add(index, [("d", Image.fromarray(images[0]))])
    assert index.ids == ["a", "b", "c", "d"]
    assert index.labels.tolist() == ["x", None, "y", None]
    assert set(index.search(images[0], 2).ids[0]) == {"a", "d"}
    with pytest.raises(TypeError, match="these are float tensors: pass photos"):
        add(index, torch.rand(1, 3, 64, 64), ids=["e"])


def test_data_sets_bring_their_labels(index):
    landmarks = lz.rendered.RenderedLandmarks(2, 4, 0, image_size=32)
    add(index, landmarks)
    assert index.ids == landmarks.ids
    assert index.labels.tolist() == [landmarks.classes[target] for target in landmarks.targets]
    add(index, torch.utils.data.Subset(landmarks, [1, 4]), labels=["one", "two"])
    assert index.labels[[1, 4]].tolist() == ["one", "two"]


def test_queries_of_every_kind(index, photo_folder):
    add(index, photo_folder)
    path = photo_folder / "4.png"
    image = Image.open(path)
    with path.open("rb") as file:
        for query in (path, str(path), path.read_bytes(), file, image, np.asarray(image), index["4.png"]):
            assert index.search(query, 1).ids == "4.png"
    both = index.search([photo_folder / "1.png", path], 1)
    assert both.ids[:, 0].tolist() == ["1.png", "4.png"]
    with pytest.raises(lz.PhotoError, match="cannot read"):
        index.search(b"no photo")


def test_two_folders_with_the_same_names(index, photo_folder, tmp_path):
    add(index, photo_folder)
    paint(tmp_path / "more/1.png", "green")
    with pytest.raises(ValueError, match=r"another photo of the id '1\.png'.*give ids="):
        add(index, tmp_path / "more")
    add(index, tmp_path / "more", ids=["more/1.png"])
    assert len(index) == 12


def test_a_folder_that_has_moved_is_not_embedded_again(index, photo_folder, tmp_path, counting):
    add(index, photo_folder)
    counting.since()
    photo_folder.rename(tmp_path / "elsewhere")
    add(index, tmp_path / "elsewhere")
    assert counting.since() == 0


def test_a_folder_that_was_moved_is_known_again(index, photo_folder, tmp_path, counting):
    add(index, photo_folder, labels={"1.png": "one"})
    vectors = {id_: index[id_].vectors[0] for id_ in index.ids}
    counting.since()
    moved = photo_folder.rename(tmp_path / "moved")
    (moved / "0.png").unlink()
    index.update(moved, progress=False, labels={"2.png": "two"})
    assert counting.since() == 0
    assert len(index) == 11  # that 0.png was taken out while the folder moved is not known
    assert dict(zip(index.ids, index.labels))["1.png"] == "one"
    assert dict(zip(index.ids, index.labels))["2.png"] == "two"
    (moved / "3.png").unlink()
    index.update(moved, progress=False)
    assert "3.png" not in index
    assert counting.since() == 0
    for id_ in index.ids:
        np.testing.assert_array_equal(index[id_].vectors[0], vectors[id_])
    generation = index.info.generation
    index.update(moved, progress=False)
    assert index.info.generation == generation


def test_a_copied_folder_is_the_same_photos(index, photo_folder, tmp_path, counting):
    add(index, photo_folder)
    counting.since()
    shutil.copytree(photo_folder, tmp_path / "copy")
    (tmp_path / "copy/3.png").unlink()
    index.update(tmp_path / "copy", progress=False)
    assert counting.since() == 0
    assert len(index) == 11  # as their folder is there
