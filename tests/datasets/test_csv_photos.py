import pytest
from gldv2_files import write_photo

import landmarkzoo as lz


def write(tmp_path, text):
    path = tmp_path / "photos.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_labels_and_photos(tmp_path):
    path = write(tmp_path, "label,path,note\nTurm,b/2.jpg,x\n,a.jpg,\nDom,b/1.jpg,\nTurm,c.jpg,\n")
    write_photo(tmp_path / "b/2.jpg", size=(20, 10))
    data = lz.datasets.CsvPhotos(path)
    assert data.ids == ["b/2.jpg", "a.jpg", "b/1.jpg", "c.jpg"]
    assert data.targets.tolist() == [1, -1, 0, 1]
    assert data.classes == ["Dom", "Turm"]
    assert data[0][0].size == (20, 10)
    assert data.missing() == ["a.jpg", "b/1.jpg", "c.jpg"]
    assert "4 photos, 2 landmarks" in repr(data)
    with pytest.raises(FileNotFoundError, match=r"the photo a\.jpg is missing"):
        data[1]


def test_root_column_names_and_absolute_paths(tmp_path):
    write_photo(tmp_path / "photos/1.jpg", size=(20, 10))
    path = write(tmp_path, f"file,landmark_id\n1.jpg,10\n{tmp_path / 'photos/1.jpg'},9\n")
    data = lz.datasets.CsvPhotos(path, tmp_path / "photos", path_column="file", label_column="landmark_id")
    assert data[0][0].size == data[1][0].size == (20, 10)
    assert data.classes == ["9", "10"]  # by value: ranks are class ids as elsewhere
    assert data.targets.tolist() == [1, 0]


def test_without_labels(tmp_path):
    data = lz.datasets.CsvPhotos(write(tmp_path, "path\na.jpg\nb.jpg\n"))
    assert data.targets.tolist() == [-1, -1]
    assert data.classes == []
    assert "2 photos, without labels" in repr(data)


@pytest.mark.parametrize("header", ["\ufeffpath,label", "Path, Label ", "PATH,LABEL", '"path","label"'])
def test_headers_as_people_write_them(tmp_path, header):
    data = lz.datasets.CsvPhotos(write(tmp_path, f"{header}\na.jpg, Dom\nb.jpg,Dom \nc.jpg, \n"))
    assert (data.classes, data.targets.tolist()) == (["Dom"], [0, 0, -1])


def test_an_exact_name_goes_before_one_of_another_case(tmp_path):
    data = lz.datasets.CsvPhotos(write(tmp_path, "Path,path,Label\nx,a.jpg,Dom\n"))
    assert (data.ids, data.classes) == (["a.jpg"], ["Dom"])


def test_both_unicode_forms_of_a_name_are_one_name(tmp_path):
    composed, decomposed = "M\u00fcnster", "Mu\u0308nster"
    path = write(tmp_path, f"path,label\n{composed}/1.jpg,{composed}\n{decomposed}/2.jpg,{decomposed}\n")
    for name in (f"{decomposed}/1.jpg", f"{composed}/2.jpg"):  # each the other way round
        write_photo(tmp_path / name)
    data = lz.datasets.CsvPhotos(path)
    assert data.classes == [composed]
    assert data.missing() == []
    assert data[0][0].mode == "RGB"
    write_photo(tmp_path / f"{composed}/1.jpg", size=(7, 5))
    assert data[0][0].size == (7, 5)  # exactly that name goes first


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("path;label\na.jpg;1\n", {}, r"line 1: no column 'path'.* separated by ';': save it with commas"),
        ('"path", "label"\na.jpg,1\n', {}, r"line 1: a quote inside a name: .* with no space"),
        ("Path,PATH\na.jpg,1\n", {}, r"line 1: the column path is there 2 times, the columns are Path, PATH"),
        ("file\na.jpg\n", {}, r"photos\.csv, line 1: no column 'path', the columns are file; path_column"),
        ("path,label\n", {"label_column": "labels"}, r"line 1: no column 'labels'.* Did you mean label\?"),
        ("path,label\na.jpg,1\na.jpg,2\n", {}, r"photos\.csv, line 3: the photo a\.jpg occurs a second time"),
        ("path,label\n,1\n", {}, r"photos\.csv, line 2: the path is empty"),
        ("path,label\na.jpg\n", {}, r"photos\.csv, line 2: 1 cells, but the header has 2 columns"),
        ("path,label\n", {}, r"photos\.csv lists no photos"),
        ("", {}, r"line 1: no column 'path', the file is empty"),
    ],
)
def test_wrong_lists(tmp_path, text, columns, message):
    with pytest.raises(ValueError, match=message):
        lz.datasets.CsvPhotos(write(tmp_path, text), **columns)


def test_no_such_list(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such CSV file"):
        lz.datasets.CsvPhotos(tmp_path / "nowhere.csv")
