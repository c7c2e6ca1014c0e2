"""Where the networks compute: providers that are absent, or installed without the device that they need."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import onnxruntime
import pytest

from models import onnx_session
from models.onnx_convert import resize_model
from models.onnx_session import EngineError, Execution, accelerated, on_gpu, providers, session

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


@pytest.fixture
def installed_without_a_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As with onnxruntime-gpu where no GPU is: its providers are listed, and no session has them."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    onnx_session._cuda_starts.cache_clear()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Specified provider", UserWarning)
        yield
    onnx_session._cuda_starts.cache_clear()


def test_a_provider_that_is_absent_is_refused_with_what_there_is() -> None:
    there = " ".join(onnxruntime.get_available_providers()).lower()
    absent = next(name for name in ("openvino", "tensorrt", "cuda") if f"{name}executionprovider" not in there)
    with pytest.raises(EngineError, match=f"the provider {absent} is not in this ONNX Runtime, which has: .*cpu"):
        session(resize_model(), Execution(absent))
    assert providers("auto")[-1] == CPU


@pytest.mark.usefixtures("installed_without_a_device")
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_without_its_device_is_one_line_and_nothing_else_is_printed(
    provider: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EngineError, match=f"{provider} is installed but does not start on this machine: .*") as raised:
        session(resize_model(), Execution(provider))
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("installed_without_a_device")
def test_auto_uses_the_processor_where_cuda_is_installed_but_no_gpu_is_there() -> None:
    assert providers("auto") == [CPU]
    assert not accelerated("auto")
    assert not on_gpu("auto")
    assert session(resize_model(), Execution("auto")).get_providers() == [CPU]


@pytest.mark.usefixtures("installed_without_a_device")
def test_what_tensorrt_cannot_compute_is_computed_by_cuda() -> None:
    assert providers("tensorrt") == [TENSORRT, CUDA, CPU]
