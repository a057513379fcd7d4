"""Names that Unicode can spell in two ways: as one letter, or as a letter and its accent.

macOS names files in the decomposed form (NFD), people type the composed form (NFC), and both look alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TypeVar
from unicodedata import normalize

Value = TypeVar("Value")


def nfc(name: str) -> str:
    r"""The composed form of a name.

    Examples:
        >>> len("Mu\u0308nster"), len(nfc("Mu\u0308nster"))
        (8, 7)
    """
    return normalize("NFC", name)


class ByName(Mapping[str, Value]):
    r"""A dictionary by name, in which both forms of a name are one name.

    A name is looked up as it is, and then by its composed form, where one name only has that form.

    Args:
        values: The dictionary; names are kept as they are.

    Examples:
        >>> labels = ByName({"Mu\u0308nster.jpg": "a church"})
        >>> labels["M\u00fcnster.jpg"], "Munster.jpg" in labels
        ('a church', False)
        >>> labels.spelled("M\u00fcnster.jpg") == "Mu\u0308nster.jpg"
        True
    """

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    @cached_property
    def _spellings(self) -> dict[str, str | None]:
        """The name of each composed form; ``None`` where several have it."""
        found: dict[str, str | None] = {}
        for name in self._values:
            form = nfc(name)
            found[form] = None if form in found else name
        return found

    def spelled(self, name: object) -> str | None:
        """The name as it stands in the dictionary, ``None`` if it does not."""
        if not isinstance(name, str):
            return None
        if name in self._values:
            return name
        return None if name.isascii() else self._spellings.get(nfc(name))  # the table takes time and memory

    def __getitem__(self, name: str) -> Value:
        key = self.spelled(name)
        if key is None:
            raise KeyError(name)
        return self._values[key]

    def __contains__(self, name: object) -> bool:
        return self.spelled(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
