"""ONNX Runtime's sessions: on which device the networks compute, and with how many threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail, Fail, RuntimeException

from errors import FacestreamError
from schemas import defaults

_CPU = "CPUExecutionProvider"
_PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": _CPU,
}
_PACKAGES = {"tensorrt": "onnxruntime-gpu", "cuda": "onnxruntime-gpu", "openvino": "onnxruntime-openvino"}
_OPTIONS = {
    # An exhaustive search for the fastest algorithm takes longer for each new size than it saves. TF32 is not exact
    # enough for dlib's scores. An arena that grows by what is requested stays as large as the largest batch.
    "CUDAExecutionProvider": {
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",
        "arena_extend_strategy": "kSameAsRequested",
    },
}


class EngineError(FacestreamError):
    """The engine that was asked for is unavailable on this machine. The text gives the reason."""


class NetworkFailed(EngineError):
    """A network failed while it computed: not enough memory, or its device is gone. The text gives the reason."""


@dataclass(frozen=True)
class Execution:
    """Where the networks run: ONNX Runtime's provider, and how many threads one call may use (0: all cores)."""

    provider: str = defaults.PROVIDER
    threads: int = 0


def session(model: bytes, execution: Execution) -> ort.InferenceSession:
    """A session for a model. Raises EngineError when the provider is unavailable or does not start."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = execution.threads
    # Threads that spin while they wait take the cores from the threads of the other networks.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Images come in any size. A memory arena and a memory plan for each size would never be freed.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    names = providers(execution.provider)
    started = ort.InferenceSession(
        model, options, providers=names, provider_options=[_OPTIONS.get(name, {}) for name in names]
    )
    # ONNX Runtime silently continues without a provider that does not start, when there is no device, for example.
    if execution.provider != "auto" and names[0] not in started.get_providers():
        raise EngineError(f"the provider {execution.provider} is installed but does not start on this machine")
    return started


def run(started: ort.InferenceSession, inputs: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """The one output of a model for its inputs by name. Raises NetworkFailed."""
    try:
        output: npt.NDArray[np.float32] = started.run(None, inputs)[0]
    except (RuntimeException, Fail, EPFail) as error:
        raise NetworkFailed(str(error)) from error
    return output


def providers(name: str) -> list[str]:
    """ONNX Runtime's providers for a setting, by preference, the CPU last.

    `name` is auto, tensorrt, cuda, openvino or cpu. Raises EngineError when that provider is not installed.
    """
    available = set(ort.get_available_providers())
    if name == "auto":
        # TensorRT and OpenVINO compile the network for each new batch size, so they are only used when asked for.
        return [provider for provider in ("CUDAExecutionProvider", _CPU) if provider in available]
    if _PROVIDERS[name] not in available:
        installed = ", ".join(short for short, full in _PROVIDERS.items() if full in available)
        raise EngineError(
            f"the provider {name} is not in this ONNX Runtime, which has: {installed}; "
            f"install the package {_PACKAGES[name]} instead of onnxruntime"
        )
    return list(dict.fromkeys([_PROVIDERS[name], _CPU]))


def accelerated(name: str) -> bool:
    """Whether a setting selects anything but ONNX Runtime's own CPU code. Raises EngineError like `providers`."""
    return providers(name)[0] != _CPU
