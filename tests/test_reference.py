"""The reference has a line for every public name, and shows every example as code."""

import ast
import importlib
import re
import types
from collections import Counter
from pathlib import Path

import pytest

import landmarkzoo as lz

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))
LINES = [line for page in PAGES for line in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.MULTILINE)]
SOURCES = sorted((ROOT / "landmarkzoo").rglob("*.py"))
FOLDERS = sorted(path.parent.name for path in (ROOT / "landmarkzoo").glob("[!_]*/__init__.py"))
ROOMS = [lz, *(importlib.import_module(f"landmarkzoo.{name}") for name in FOLDERS)]


def resolve(line):
    module, _, name = line.rpartition(".")
    return getattr(importlib.import_module(module), name, None)


@pytest.mark.parametrize("line", LINES)
def test_every_line_names_something_public(line):
    module, _, name = line.rpartition(".")
    assert name in importlib.import_module(module).__all__


def test_no_name_stands_twice():
    seen = Counter(id(resolve(line)) for line in LINES)
    assert not [line for line in LINES if seen[id(resolve(line))] > 1]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_every_public_name_has_a_line(room):
    documented = {id(resolve(line)) for line in LINES}
    public = {name: getattr(room, name) for name in getattr(room, "__all__", [])}
    missing = [
        f"{room.__name__}.{name}"
        for name, value in public.items()
        if not isinstance(value, types.ModuleType) and id(value) not in documented
    ]
    assert not missing


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_examples_stand_in_a_section_that_the_reference_knows(path):
    """An unknown section, such as ``Example:``, is rendered as a quotation, and its ``>>>`` as its marks."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            text = ast.get_docstring(node) or ""
            before, prompt, _ = text.partition(">>> ")
            assert not prompt or re.search(r"^Examples:\n", before, re.MULTILINE), (
                f"{node.name}: {before[-80:]}"
            )
