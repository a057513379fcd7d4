import pickle

import numpy as np
import pytest
from gldv2_files import FILES, write_gldv2, write_photo

import landmarkzoo as lz


def test_clean_in_the_order_of_its_file_with_ranks_as_labels(tmp_path):
    data = lz.datasets.GLDv2(write_gldv2(tmp_path))
    assert data.ids == ["ccc0", "eee0", "aaa0"]
    assert data.targets.tolist() == [1, 1, 0]
    assert data.targets.dtype == np.int64
    assert data.landmark_ids.tolist() == [5, 9]
    assert data.classes == ["Category:Dom", "Category:Turm, alt"]
    assert data.truth is data.usage is data.retrieval is None
    assert repr(data) == "GLDv2(split='clean': 3 photos of 2 landmarks)"


def test_clean_needs_its_own_file_only(tmp_path):
    alone = lz.datasets.GLDv2(write_gldv2(tmp_path, "train_clean.csv"))
    assert alone.ids == ["ccc0", "eee0", "aaa0"]
    assert alone.classes == ["5", "9"]


def test_x_has_all_train_photos_of_the_clean_landmarks(tmp_path):
    data = lz.datasets.GLDv2(write_gldv2(tmp_path), "x")
    assert data.ids == ["aaa0", "bbb0", "ccc0", "eee0"]
    assert data.targets.tolist() == [0, 0, 1, 1]
    assert data.landmark_ids.tolist() == [5, 9]


def test_full_ranks_all_landmarks_of_train(tmp_path):
    data = lz.datasets.GLDv2(write_gldv2(tmp_path, "train.csv"), split="full")
    assert data.ids == ["aaa0", "bbb0", "ccc0", "ddd0", "eee0"]
    assert data.targets.tolist() == [0, 0, 2, 1, 2]
    assert data.landmark_ids.tolist() == [5, 7, 9]


def test_index_labels_are_its_own_and_joined_to_train_by_category(tmp_path):
    data = lz.datasets.GLDv2(write_gldv2(tmp_path), "index")
    assert data.ids == ["0a01", "0a02", "0a03", "0a04"]
    assert data.targets.tolist() == [0, 1, -1, 1]  # 0a03 has no landmark in the file
    assert data.classes == ["Category:See", "Category:Burg"]
    assert data.landmark_ids.tolist() == [-1, 7]  # the index calls 5 what train calls 7
    assert lz.datasets.index_to_train_landmarks(tmp_path) == {5: 7}
    assert data.retrieval.ids == ["fff1", "fff4"]
    assert data.retrieval.truth == [("0a01", "0a04"), ()]
    assert data.retrieval.usage == ["Public", "Ignored"]
    assert repr(data.retrieval) == "Solution(2 test images: 1 Public, 0 Private, 1 Ignored)"


def test_of_train_landmarks_with_one_category_the_smallest_is_taken(tmp_path):
    train = "landmark_id,category\n8,Category:Burg\n3,Category:Burg\n6,Category:Burg\n"
    write_gldv2(
        tmp_path, "train_label_to_category.csv", "index_label_to_category.csv", train_label_to_category=train
    )
    assert lz.datasets.index_to_train_landmarks(tmp_path) == {5: 3}


def test_index_without_labels(tmp_path):
    data = lz.datasets.GLDv2(write_gldv2(tmp_path, "index.csv"), "index")
    assert data.targets.tolist() == [-1] * 4
    assert (data.landmark_ids.tolist(), data.classes, data.retrieval) == ([], [], None)
    write_gldv2(tmp_path, "index_image_to_landmark.csv")
    with pytest.raises(FileNotFoundError, match=r"no train_label_to_category\.csv"):
        lz.datasets.GLDv2(tmp_path, "index")


def test_truth_of_test_are_landmark_ids_in_the_order_of_the_photos(tmp_path):
    data = lz.datasets.GLDv2(write_gldv2(tmp_path), "test")
    assert data.ids == ["fff1", "fff2", "fff3", "fff4"]
    assert data.truth == [(), (5, 9), (), ()]
    assert data.usage == ["Private", "Public", "Ignored", "Ignored"]
    assert data.targets.tolist() == [-1] * 4
    assert data.retrieval.truth == [("0a01", "0a04"), ()]
    train = lz.datasets.GLDv2(tmp_path, "clean")
    predicted = train.landmarks_of(np.array([-1, 1, 0, 0]))
    assert predicted.tolist() == [-1, 9, 5, 5]
    assert lz.metrics.gap(predicted, [9.9, 0.9, 0.0, 0.0], data.truth) == 1.0
    for wrong in ([2], [0, -2]):
        with pytest.raises(ValueError, match="labels must be from -1 to 1, got"):
            train.landmarks_of(wrong)
    with pytest.raises(TypeError, match="labels must be integers, got dtype float64"):
        train.landmarks_of([0.5])
    assert train.landmarks_of([]).tolist() == []


def test_test_takes_its_ids_from_where_they_are(tmp_path):
    data = lz.datasets.GLDv2(write_gldv2(tmp_path, "test.csv"), "test")
    assert (data.ids, data.truth, data.usage) == (["fff1", "fff2", "fff3", "fff4"], None, None)
    (tmp_path / "test.csv").unlink()
    write_gldv2(tmp_path, "retrieval_solution_v2.1.csv")
    assert lz.datasets.GLDv2(tmp_path, "test").ids == ["fff1", "fff4"]
    write_gldv2(tmp_path, "recognition_solution_v2.1.csv")
    data = lz.datasets.GLDv2(tmp_path, "test")
    assert (data.ids, data.truth) == (["fff2", "fff1", "fff3"], [(5, 9), (), ()])


def test_csv_files_in_the_folder_metadata(tmp_path):
    write_gldv2(tmp_path / "metadata")
    for split in ("clean", "x", "full", "index", "test"):
        assert len(lz.datasets.GLDv2(tmp_path, split)) >= 3


def test_photos(tmp_path):
    write_gldv2(tmp_path)
    write_photo(tmp_path / "train/c/c/c/ccc0.jpg", (250, 5, 5))
    write_photo(tmp_path / "index/0/a/0/0a02.jpg", (5, 5, 250))
    write_photo(tmp_path / "test/f/f/f/fff4.jpg")
    clean, x, index, test = (lz.datasets.GLDv2(tmp_path, split) for split in ("clean", "x", "index", "test"))
    assert clean[0][0].getpixel((9, 9))[0] > 200
    assert x[2][0].tobytes() == clean[0][0].tobytes()
    assert index[1][0].getpixel((9, 9))[2] > 200
    assert test[-1][0].size == (32, 24)
    assert clean.missing() == ["eee0", "aaa0"]
    assert index.missing() == ["0a01", "0a03", "0a04"]
    with pytest.raises(
        FileNotFoundError, match=r"photo eee0 is missing: there is no file .*train.e.e.e.eee0\.jpg"
    ):
        clean[1]
    with pytest.raises(IndexError):
        clean[3]
    assert pickle.loads(pickle.dumps(clean))[0][0].size == (32, 24)  # as worker processes get it


def test_embedding_names_missing_photos_or_leaves_them_out(tmp_path, tiny_model):
    write_gldv2(tmp_path)
    write_photo(tmp_path / "train/e/e/e/eee0.jpg")
    data = lz.datasets.GLDv2(tmp_path)
    d = lz.embed(tiny_model, data, progress=False, on_error="skip")
    assert d.ids == ["eee0"]
    assert [photo for photo, _ in d.skipped] == ["ccc0", "aaa0"]
    with pytest.raises(lz.PhotoError, match=r"ccc0.*no file"):
        lz.embed(tiny_model, data, progress=False)


def test_ids_that_no_file_can_have(tmp_path):
    data = lz.datasets.GLDv2(write_gldv2(tmp_path, "test.csv", test="id\nab\na/../../x\n"), "test")
    for position in range(2):
        with pytest.raises(ValueError, match="is not an image id of GLDv2: these have 3"):
            data[position]


def test_missing_files_say_where_they_were_looked_for(tmp_path):
    for split, name in (
        ("clean", "train_clean"),
        ("x", "train_clean"),
        ("full", "train"),
        ("index", "index"),
        ("test", "test"),
    ):
        with pytest.raises(
            FileNotFoundError, match=rf"no {name}\.csv: looked for \S+{name}\.csv and \S+metadata.{name}\.csv"
        ):
            lz.datasets.GLDv2(tmp_path, split)
    with pytest.raises(FileNotFoundError, match=r"no such folder: .*nowhere"):
        lz.datasets.GLDv2(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"split must be one of .* got 'cleaned'\. Did you mean clean\?"):
        lz.datasets.GLDv2(tmp_path, "cleaned")


WRONG = [
    (
        "full",
        "train",
        "id,url\na,x\n",
        r"train\.csv, line 1: the columns are id, url; .* missing: landmark_id",
    ),
    (
        "full",
        "train",
        "id,url,landmark_id\na,x,5\na,x,5\n",
        r"train\.csv, line 3: the id a occurs a second time",
    ),
    ("full", "train", "id,url,landmark_id\n,x,5\n", r"train\.csv, line 2: the id is empty"),
    (
        "full",
        "train",
        "id,url,landmark_id\na,x,five\n",
        r"line 2: landmark_id must be a non-negative integer, got 'five'",
    ),
    (
        "full",
        "train",
        "id,url,landmark_id\na,x,-5\n",
        r"line 2: landmark_id must be a non-negative integer, got '-5'",
    ),
    (
        "clean",
        "train_clean",
        "landmark_id,images\n5,aaa0\n9,ccc0 zzz0\n",
        r"train_clean\.csv, line 3: the image zzz0 of landmark 9 is not in train\.csv",
    ),
    (
        "x",
        "train_clean",
        "landmark_id,images\n5,aaa0 zzz0\n",
        r"line 2: the image zzz0 of landmark 5 is not in train\.csv",
    ),
    (
        "x",
        "train_clean",
        "landmark_id,images\n5,aaa0 ccc0\n",
        r"line 2: the image ccc0 of landmark 5 has the landmark 9 in train\.csv",
    ),
    (
        "clean",
        "train_clean",
        "landmark_id,images\n5,aaa0\n9,ccc0 ccc0\n",
        r"line 3: the id ccc0 occurs a second time",
    ),
    (
        "clean",
        "train_clean",
        "landmark_id,images\n5,aaa0\n5,bbb0\n",
        r"line 3: the landmark 5 occurs a second time",
    ),
    ("clean", "train_clean", "landmark_id,images\n5,\n", r"line 2: the landmark 5 has no images"),
    (
        "clean",
        "train_label_to_category",
        "landmark_id,category\n5,a\n5,b\n",
        r"train_label_to_category\.csv, line 3: the landmark 5 occurs",
    ),
    ("index", "index", "id\n0a01\n0a01\n", r"index\.csv, line 3: the id 0a01 occurs a second time"),
    (
        "index",
        "index_image_to_landmark",
        "id,landmark_id\n0a01,5\nzzz0,5\n",
        r"index_image_to_landmark\.csv, line 3: the image zzz0 is not in index\.csv",
    ),
    (
        "index",
        "retrieval_solution_v2",
        "id,images,Usage\nfff1,0a01 zzz0,Public\n",
        r"retrieval_solution_v2\.1\.csv, line 2: the image zzz0 is not in index\.csv",
    ),
    (
        "test",
        "retrieval_solution_v2",
        "id,images,Usage\nzzz0,0a01,Public\n",
        r"line 2: the id zzz0 is not in test\.csv",
    ),
    (
        "test",
        "recognition_solution_v2",
        "id,landmarks,Usage\nfff1,5,Public\nzzz0,5,Public\n",
        r"line 3: the id zzz0 is not in test\.csv",
    ),
    (
        "test",
        "recognition_solution_v2",
        "id,landmarks,Usage\nfff1,5 x,Public\n",
        r"line 2: a landmark must be a non-negative integer, got 'x'",
    ),
    (
        "test",
        "recognition_solution_v2",
        "id,landmarks,Usage\nfff1,5,Secret\n",
        r"line 2: Usage must be one of Public, Private, Ignored, got 'Secret'",
    ),
    (
        "test",
        "recognition_solution_v2",
        "id,landmarks,Usage\nfff1,5,Public\nfff1,6,Public\n",
        r"line 3: the id fff1 occurs a second time",
    ),
]


@pytest.mark.parametrize(("split", "stem", "content", "message"), WRONG)
def test_wrong_files_are_named_with_the_line(tmp_path, split, stem, content, message):
    write_gldv2(tmp_path, **{stem: content})
    with pytest.raises(ValueError, match=message):
        lz.datasets.GLDv2(tmp_path, split)


def test_every_wrong_file_is_one_of_the_tiny_data_set():
    assert {stem for _, stem, _, _ in WRONG} <= {name.partition(".")[0] for name in FILES}
