"""What tests of several files look at."""

import pytest

from landmarkzoo.retrieval import device_rows


@pytest.fixture
def sent_rows(monkeypatch):
    """How many rows went to a device."""
    counts = []
    send = device_rows._Sender.send
    monkeypatch.setattr(
        device_rows._Sender,
        "send",
        lambda self, block, *rest: counts.append(len(block)) or send(self, block, *rest),
    )
    return counts
