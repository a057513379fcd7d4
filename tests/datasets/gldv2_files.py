"""A tiny Google Landmarks v2: the files that its CSV formats are tested on."""

from pathlib import Path

from PIL import Image

FILES = {
    "train.csv": 'id,url,landmark_id\naaa0,http://x/a.jpg,5\nbbb0,"http://x/b,1.jpg",5\nccc0,'
    "http://x/c.jpg,9\nddd0,http://x/d.jpg,7\neee0,http://x/e.jpg,9\n",
    "train_clean.csv": "landmark_id,images\n9,ccc0 eee0\n5,aaa0\n",
    "train_label_to_category.csv": "landmark_id,category\n5,Category:Dom\n7,Category:Burg\n"
    '9,"Category:Turm, alt"\n',
    "index.csv": "id\n0a01\n0a02\n0a03\n0a04\n",
    "index_image_to_landmark.csv": "id,landmark_id\n0a02,5\n0a01,0\n0a04,5\n",
    "index_label_to_category.csv": "landmark_id,category\n0,Category:See\n5,Category:Burg\n",
    "test.csv": "id\nfff1\nfff2\nfff3\nfff4\n",
    "recognition_solution_v2.1.csv": "id,landmarks,Usage\nfff2,5 9,Public\n"
    "fff1,,Private\nfff3,None,Ignored\n",
    "retrieval_solution_v2.1.csv": "id,images,Usage\nfff1,0a01 0a04,Public\nfff4,None,Ignored\n",
}


def write_gldv2(root: Path, *names: str, **contents: str) -> Path:
    """Write the named files, all if there are no names; contents replaces those of a file by its stem."""
    root.mkdir(exist_ok=True)
    for name in names or FILES:
        (root / name).write_text(contents.get(name.partition(".")[0], FILES[name]), encoding="utf-8")
    return root


def write_photo(
    path: Path, colour: tuple[int, int, int] = (200, 30, 30), size: tuple[int, int] = (32, 24)
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, quality=95)
