"""Names of classes that stand as in an address, such as those of Google Landmarks: "Taj%20Mahal"."""

from __future__ import annotations

import re
from urllib.parse import unquote


def readable_name(name: str) -> str:
    """A name without ``%20`` and the like; another name stays as it is.

    A percent sign is read only where two hexadecimal digits follow, and only if all of them together are
    UTF-8 that can be printed in one line. Underscores stay: in a name of one's own they may mean something.

    Args:
        name: Of a class.

    Examples:
        >>> readable_name("Ch%C3%A2teau_de%20Chambord"), readable_name("100% pure"), readable_name("a%FFb")
        ('Château_de Chambord', '100% pure', 'a%FFb')
    """
    if not re.search(r"%[0-9A-Fa-f]{2}", name):
        return name
    try:
        readable = unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name
    return readable if readable.isprintable() else name
