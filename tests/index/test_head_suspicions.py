"""Labels that a head contradicts, against a plain loop over its formula; and where the head comes from."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

import landmarkzoo as lz

CLASSES = ["arch", "bridge", "castle"]
# Of class "arch" (2, 0, 0), "bridge" (0, 3, 0), "castle" (0, 0, 1).
CENTERS = torch.tensor([[2.0, 0, 0, 0], [0, 3.0, 0, 0], [0, 0, 1.0, 0]])


def head_with(centers, sub_centers=1):
    head = lz.SubCenterArcFaceDynamic(centers.shape[1], len(centers) // sub_centers, sub_centers=sub_centers)
    head.load_state_dict({"weight": centers})
    return head


def index_of(folder, vectors, labels):
    index = lz.Index.create(folder)
    index.add(lz.Descriptors([f"{row}.jpg" for row in range(len(vectors))], vectors), labels=labels)
    return index


def loop(vectors, labels, weight, sub_centers, names):
    """The definition, photo by photo."""
    found = {}
    for row, (x, label) in enumerate(zip(np.asarray(vectors, np.float64), labels)):
        if label not in names:
            continue
        cosines = {}
        for number, name in enumerate(names):
            of_class = np.asarray(weight, np.float64)[number * sub_centers : (number + 1) * sub_centers]
            cosines[name] = max(float(c @ x / np.linalg.norm(c) / np.linalg.norm(x)) for c in of_class)
        likelier = max((name for name in names if name != label), key=lambda name: cosines[name])
        score = max(cosines[likelier], 0) - max(cosines[label], 0)
        if math.acos(cosines[label]) > math.radians(75) and score > 0:
            found[f"{row}.jpg"] = (label, likelier, score)
    return found


def test_the_score_of_one_photo(tmp_path):
    vectors = np.array([[0, 4.0, 0, 3.0], [1.0, 0, 0, 0], [0, 0, 0, 1.0], [0.6, 0.8, 0, 0]])
    index = index_of(tmp_path / "index", vectors, ["arch", "arch", "arch", "arch"])
    found = index.suspicious_labels(head=head_with(CENTERS), class_names=CLASSES)
    # The second is in its place; the third is far from all, so nothing is likelier; the fourth is nearer to
    # another class, and not far from its own.
    assert found == [("0.jpg", "arch", "bridge", pytest.approx(0.8))]


@pytest.mark.parametrize("sub_centers", [1, 3])
@pytest.mark.parametrize("cosines", [4, 2**24])
def test_it_is_the_plain_loop(tmp_path, monkeypatch, sub_centers, cosines):
    monkeypatch.setattr("landmarkzoo.index.head_suspicions._COSINES", cosines)
    random = np.random.default_rng(3)
    names = [f"landmark {number}" for number in range(7)]
    weight = torch.tensor(random.normal(size=(7 * sub_centers, 16)), dtype=torch.float32)
    vectors = random.normal(size=(60, 16)).astype(np.float32)
    labels = [names[n] if n < 7 else ("elsewhere" if n == 7 else None) for n in random.integers(0, 9, 60)]
    index = index_of(tmp_path / "index", vectors, labels)
    index.remove(["4.jpg", "20.jpg"])
    wanted = loop(vectors, labels, weight, sub_centers, names)
    for gone in ("4.jpg", "20.jpg"):
        wanted.pop(gone, None)
    neighbors = {id_: (label, other, score) for id_, label, other, score in index.suspicious_labels(3)}
    found = index.suspicious_labels(3, head=head_with(weight, sub_centers), class_names=names)
    assert len(found) == len({row[0] for row in found}) == len(wanted.keys() | neighbors.keys())
    assert [row[3] for row in found] == sorted((row[3] for row in found), reverse=True)
    assert len(wanted) > 10
    for id_, label, likelier, score in found:
        both = [x[id_] for x in (wanted, neighbors) if id_ in x]
        best = max(both, key=lambda suspicion: suspicion[2])
        assert (label, likelier, score) == (*best[:2], pytest.approx(best[2], abs=1e-5))


@pytest.mark.parametrize("names", [["arch", "bridge", "arch"], ["Mu\u0308nster", "bridge", "M\u00fcnster"]])
def test_classes_of_one_name_are_one_class(tmp_path, names):
    vectors = np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0], [0, 1.0, 0, 0]])
    index = index_of(tmp_path / "index", vectors, [names[0], names[0], names[0]])
    found = index.suspicious_labels(head=head_with(CENTERS), class_names=names)
    label = index.labels[0]
    assert found == [("2.jpg", label, "bridge", pytest.approx(1.0))]
    found = index.suspicious_labels(head=head_with(CENTERS), class_names=[names[0], names[2], names[0]])
    assert found == []


def test_numbers_are_the_names_of_nameless_classes(tmp_path):
    index = index_of(tmp_path / "index", np.eye(4)[[0, 1]], [0, 0])
    assert index.suspicious_labels(head=head_with(CENTERS)) == [("1.jpg", "0", "1", pytest.approx(1.0))]


def test_a_head_of_one_class_names_none(tmp_path):
    index = index_of(tmp_path / "index", np.eye(4)[[0, 1]], ["arch", "arch"])
    assert index.suspicious_labels(head=head_with(CENTERS[:1]), class_names=["arch"]) == []


def test_any_head_will_do(tmp_path):
    head = lz.losses.CosFace(4, 3)
    head.load_state_dict({"weight": CENTERS})
    index = index_of(tmp_path / "index", np.eye(4)[[0, 2]], ["arch", "arch"])
    (found,) = index.suspicious_labels(head=head, class_names=CLASSES)
    assert found[:3] == ("1.jpg", "arch", "castle")
    assert head.training  # as it was given


@pytest.fixture
def trained(tmp_path):
    """A model whose head, saved beside it, knows two landmarks; an index of its folder, all of one label."""
    torch.manual_seed(0)
    model = lz.GlobalDescriptor("test_efficientnet", neck="none").eval()
    photos = np.random.default_rng(0).integers(0, 255, (4, 48, 48, 3), dtype=np.uint8)
    photos[2:, :, :, 0] = 255
    vectors = torch.from_numpy(lz.embed(model, photos, transform=None, progress=False).vectors)
    half = vectors[0] - (vectors[0] @ vectors[2]) * vectors[2]  # at a right angle to the photo 2
    head = head_with(torch.stack([half, vectors[2]]))
    model.save_pretrained(tmp_path / "model", head, ["arch", "bridge"])
    index = lz.Index.create(tmp_path / "index", f"local-dir:{tmp_path / 'model'}")
    pictures = [(f"{number}.jpg", Image.fromarray(photo)) for number, photo in enumerate(photos)]
    index.add(pictures, labels=dict.fromkeys(["0.jpg", "1.jpg", "2.jpg", "3.jpg"], "arch"), progress=False)
    return index, model, head


def test_the_head_in_the_folder_of_the_model_is_taken(tmp_path, trained):
    index, model, head = trained
    found = index.suspicious_labels()
    assert "2.jpg" in {row[0] for row in found}
    assert found == index.suspicious_labels(head=head, class_names=["arch", "bridge"])
    index.relabel(dict.fromkeys(index.ids, "no class"))
    assert index.suspicious_labels() == []
    with pytest.raises(ValueError, match=r"knows none of the labels, such as 'no class': its 2 classes are"):
        index.suspicious_labels(head=head, class_names=["arch", "bridge"])
    index.relabel(dict.fromkeys(index.ids, "arch"))
    with torch.no_grad():
        next(model.parameters()).add_(1)
    model.save_pretrained(tmp_path / "model", head, ["arch", "bridge"])
    assert index.suspicious_labels() == []  # the head is of other weights now


def test_what_does_not_fit_is_refused(tmp_path):
    index = index_of(tmp_path / "index", np.eye(4)[[0, 1]], ["arch", "bridge"])
    head = head_with(CENTERS)
    with pytest.raises(TypeError, match=r"needs a lz.losses.Head, .* got tuple; lz.load_head gives two"):
        index.suspicious_labels(head=(head, CLASSES))
    with pytest.raises(ValueError, match="class_names are those of a head, which is not given"):
        index.suspicious_labels(class_names=CLASSES)
    with pytest.raises(ValueError, match="got 2 class names for 3 classes"):
        index.suspicious_labels(head=head, class_names=["arch", "bridge"])
    with pytest.raises(ValueError, match="the descriptors have 4 dimensions, the head 3"):
        index.suspicious_labels(head=head_with(CENTERS[:, :3]), class_names=CLASSES)
    with pytest.raises(ValueError, match="the head is on the meta device"):
        index.suspicious_labels(head=head_with(CENTERS).to("meta"), class_names=CLASSES)
