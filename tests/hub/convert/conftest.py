"""What the tests of ONNX files share."""

import pytest

import landmarkzoo as lz


@pytest.fixture
def convert(tmp_path):
    """Saves a changed graph and converts it."""

    def run(model, name="dolg_efficientnet_b0", **arguments):
        import onnx

        onnx.save(model, tmp_path / "changed.onnx")
        return lz.convert_checkpoint(tmp_path / "changed.onnx", name, **arguments)[0]

    return run
