"""The house: imports run down only, arrays know no models, and no two files have one name."""

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import landmarkzoo as lz

PACKAGE = Path(lz.__file__).parent

# From the ground floor up. A room imports from the rooms that stand before it.
ROOMS = [
    "_utils",
    "retrieval",
    "metrics",
    "rerank",
    "recognition",
    "ensemble",
    "layers",
    "backbones",
    "losses",
    "hub",
    "models",
    "photos",
    "datasets",
    "embedding",
    "index",
    "classification",
    "evaluation",
    "rendered",
    "reports",
    "finetuning",
    "demo",
    "cli",
]
ARRAYS_ONLY = {"retrieval", "metrics", "rerank", "recognition", "ensemble"}
MAY_TALK_TO_THE_HUB = {"hub/client.py", "hub/client_errors.py", "backbones/weight_files.py"}


def imported_modules(code: str) -> set[str]:
    """Every module that some code imports, at its top, inside functions, and for type checkers."""
    modules = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if name in ("import_module", "__import__") and isinstance(node.args[0], ast.Constant):
                modules.add(node.args[0].value)
    return modules


def imported_rooms(code: str) -> set[str]:
    """Rooms that some code imports from; the package itself is not for use inside of it."""
    modules = {m for m in imported_modules(code) if m.partition(".")[0] == "landmarkzoo"}
    names = {f"{m}.".split(".")[1] for m in modules} - {"__version__"}
    assert names <= set(ROOMS), f"import from the rooms, not {names - set(ROOMS)} from landmarkzoo"
    return names


def arrows() -> dict[tuple[str, str], list[str]]:
    """(room, room that it imports from) -> the files that do."""
    found = defaultdict(list)
    for path in sorted(PACKAGE.glob("*/**/*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        for other in imported_rooms(path.read_text(encoding="utf-8")) - {room}:
            found[room, other].append(path.relative_to(PACKAGE).as_posix())
    return found


def test_no_import_goes_unseen():
    code = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from landmarkzoo.models import ModelCfg
def late():
    import landmarkzoo.hub.client
    from landmarkzoo import losses
    importlib.import_module("landmarkzoo.photos")
"""
    assert imported_rooms(code) == {"models", "hub", "losses", "photos"}
    for around in ("import landmarkzoo as lz", "from landmarkzoo import embed"):
        with pytest.raises(AssertionError, match="import from the rooms"):
            imported_rooms(around)


def test_every_folder_is_a_room():
    folders = {path.parent.relative_to(PACKAGE).parts[0] for path in PACKAGE.glob("*/*.py")}
    assert folders == set(ROOMS)


def test_arrows_run_down():
    found = arrows()
    assert len(found) > 50  # so that an empty picture does not pass
    up = {pair: files for pair, files in found.items() if ROOMS.index(pair[1]) > ROOMS.index(pair[0])}
    assert not up


def test_arrays_know_no_models():
    models = set(ROOMS[ROOMS.index("layers") :])
    assert not {pair for pair in arrows() if pair[0] in ARRAYS_ONLY and pair[1] in models}


def test_losses_know_no_models():
    assert {to for room, to in arrows() if room == "losses"} <= {"_utils", "layers"}


def test_one_room_talks_to_the_hub():
    talking = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(m.startswith("huggingface_hub") for m in imported_modules(path.read_text(encoding="utf-8")))
    }
    assert talking <= MAY_TALK_TO_THE_HUB
    assert "hub/client.py" in talking


def test_one_file_decodes_photos():
    texts = {p.relative_to(PACKAGE).as_posix(): p.read_text(encoding="utf-8") for p in PACKAGE.rglob("*.py")}
    assert {name for name, text in texts.items() if "Image.open(" in text} == {"photos/decoding.py"}
    others = ("torchvision.io", "cv2", "imageio", "skimage", "PIL.Image.open")
    for name, text in texts.items():
        assert not [module for module in imported_modules(text) if module.startswith(others)], name


def test_no_two_files_have_one_name():
    names = Counter(path.name for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
    assert not [name for name, count in names.items() if count > 1]


def test_no_file_is_called_like_a_folder():
    folders = {path.parent.name for path in PACKAGE.rglob("__init__.py")}
    assert not folders & {path.stem for path in PACKAGE.rglob("*.py")}


def test_no_function_is_called_like_a_module():
    modules = {path.stem for path in PACKAGE.rglob("*.py")} | {
        p.parent.name for p in PACKAGE.rglob("__init__.py")
    }
    clashes = {
        (path.name, node.name)
        for path in PACKAGE.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name in modules
    }
    assert not clashes


def test_files_and_functions_are_short():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                assert not body or body[-1].end_lineno - body[0].lineno < 60, f"{path}: {node.name}"


def test_contributing_lists_the_rooms_in_their_order_and_no_file_that_is_gone():
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    first_cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    rooms = [room for cell in first_cells for room in re.findall(r"`(\w+)/`", cell)]
    assert rooms == ROOMS
    rows = re.findall(r"^\| `(\w+)/` \|(.*)\|$", text, re.MULTILINE)
    files = [
        f"landmarkzoo/{room}/{name}" for room, cell in rows for name in re.findall(r"`([\w/]+\.py)`", cell)
    ]
    files += re.findall(r"((?:landmarkzoo|tests|docs|benchmarks|examples)/[\w/-]+\.\w+)", text)
    assert len(files) > 20
    assert not [name for name in files if not (PACKAGE.parent / name).exists()]
