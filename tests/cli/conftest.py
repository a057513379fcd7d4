"""Commands in this process, and what they answer."""

import pytest

from landmarkzoo.cli import main


@pytest.fixture
def answer_of(capsys):
    """Run a command that answers with 0; what it prints."""

    def answer_of(*arguments, err=""):
        code = main([*map(str, arguments)])
        out, said = capsys.readouterr()
        assert (code, said) == (0, err)
        return out

    return answer_of


@pytest.fixture
def refusal_of(capsys):
    """Run a command that refuses its arguments; the line of the error."""

    def refusal_of(*arguments):
        code = main([*map(str, arguments)])
        out, err = capsys.readouterr()
        assert (code, out, err.count("\n")) == (2, "", 1)
        return err.removeprefix("landmarkzoo: error: ").strip()

    return refusal_of
