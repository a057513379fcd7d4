import csv

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from landmarkzoo.datasets import csv_files
from landmarkzoo.datasets.csv_files import csv_header, csv_rows, whole_number

CELLS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=8)


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "some.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_columns_are_found_by_name_and_the_others_left_out(tmp_path):
    path = write(tmp_path, 'url,id,landmark_id\r\n"http://x/a,b",a,5\r\n\r\n"two\nlines",b,6\r\nx,ü,7')
    assert list(csv_rows(path, ["id", "landmark_id"])) == [(2, ["a", "5"]), (4, ["b", "6"]), (6, ["ü", "7"])]
    assert [cells for _, cells in csv_rows(path, ["url"])] == [["http://x/a,b"], ["two\nlines"], ["x"]]
    assert csv_header(path) == ["url", "id", "landmark_id"]


def test_byte_order_mark_of_spreadsheets_is_no_part_of_the_first_name(tmp_path):
    path = write(tmp_path, "id\na\n", "utf-8-sig")
    assert list(csv_rows(path, ["id"])) == [(2, ["a"])]
    assert csv_header(path) == ["id"]


def test_cells_as_long_as_the_list_of_a_large_landmark(tmp_path):
    ids = " ".join(f"{i:016x}" for i in range(20_000))
    before = csv.field_size_limit()
    assert list(csv_rows(write(tmp_path, f"images\n{ids}\n"), ["images"])) == [(2, [ids])]
    assert csv.field_size_limit() == before  # it is that of the whole process
    with pytest.raises(ValueError, match=r"line 2: not CSV: field larger .*csv\.field_size_limit\(10\*\*9\)"):
        list(csv_rows(write(tmp_path, f'images\n"{ids}"\n'), ["images"]))


@given(st.text(st.sampled_from('ab,"\n\r '), max_size=30))
@example('a,b\r"c\rd",e\r\n\r\n,\n"f"",g",h')
def test_rows_are_those_of_the_csv_module(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("csv") / "some.csv"
    path.write_bytes(text.encode())
    with path.open(newline="") as file:
        try:
            expected = list(csv.reader(file, strict=True))
        except csv.Error:
            expected = None
    with path.open(newline="") as file:
        try:
            rows = [row for _, row in csv_files._rows(path, file)]
        except ValueError:
            rows = None
    assert rows == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"some\.csv, line 1: the file is empty; id, landmark_id are needed"),
        ("id,label\na,5\n", r"some\.csv, line 1: the columns are id, label; .* missing: landmark_id"),
        ("id;landmark_id\na;5\n", r"missing: id, landmark_id; its cells are separated by ';': save it with"),
        ("id,landmark_id,id\n", r"line 1: the column id occurs 2 times in the header"),
        ("id,landmark_id\na,5\nb\n", r"some\.csv, line 3: 1 cells, but the header has 2 columns"),
        ("id,landmark_id\na,5,6\n", r"line 2: 3 cells, but the header has 2 columns"),
        ('id,landmark_id\na,5\n"b,6\nc,7\n', r"line 3: not CSV: unexpected end of data"),
    ],
)
def test_what_is_no_such_file_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        list(csv_rows(write(tmp_path, text), ["id", "landmark_id"]))


def test_text_that_is_not_utf_8(tmp_path):
    with pytest.raises(ValueError, match=r"some\.csv, line \d: at or after this line the file is not UTF-8"):
        list(csv_rows(write(tmp_path, "id\nMünchen\n", "latin1"), ["id"]))
    with pytest.raises(ValueError, match=r"some\.csv, line 1: not CSV in UTF-8"):
        csv_header(write(tmp_path, "ü\n", "latin1"))


def test_no_such_file(tmp_path):
    for read in (csv_header, lambda path: list(csv_rows(path, ["id"]))):
        with pytest.raises(FileNotFoundError, match=r"no such CSV file: .*nowhere\.csv"):
            read(tmp_path / "nowhere.csv")


def test_progress_goes_to_stderr(tmp_path, capsys):
    list(csv_rows(write(tmp_path, "id\na\n"), ["id"], progress=True))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "some.csv" in captured.err


@given(st.lists(st.tuples(CELLS, CELLS), max_size=20))
def test_rows_come_back_as_the_csv_module_wrote_them(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "some.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("first", "second"), *rows])
    assert [tuple(reversed(cells)) for _, cells in csv_rows(path, ["second", "first"])] == rows


@pytest.mark.parametrize("text", ["9223372036854775808", "9" * 5000])
def test_numbers_beyond_64_bits_name_file_and_line(text):
    assert whole_number("9223372036854775807", "a.csv", 7, "a landmark") == 2**63 - 1
    with pytest.raises(ValueError, match=r"a\.csv, line 7: a landmark is too large"):
        whole_number(text, "a.csv", 7, "a landmark")
