"""ONNX Runtime's sessions: where the networks compute, and on how many threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail, Fail, RuntimeException

from errors import FacestreamError

_PROCESSOR = "CPUExecutionProvider"
_PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": _PROCESSOR,
}
_PACKAGES = {"tensorrt": "onnxruntime-gpu", "cuda": "onnxruntime-gpu", "openvino": "onnxruntime-openvino"}
_OPTIONS = {
    # Trying every algorithm for each size takes longer than it saves; TF32 is not exact enough for dlib's scores. An
    # arena that grows by what is asked for stays as large as the largest batch.
    "CUDAExecutionProvider": {
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",
        "arena_extend_strategy": "kSameAsRequested",
    },
}


class EngineError(FacestreamError):
    """The engine that was asked for cannot be had here. The text is for a person."""


class NetworkFailed(EngineError):
    """A network did not get through, for want of memory or because its device is gone. The text is for a person."""


@dataclass(frozen=True)
class Execution:
    """Where the networks run: ONNX Runtime's provider, and how many threads one call may use (0: all cores)."""

    provider: str = "auto"
    threads: int = 0


def session(model: bytes, execution: Execution) -> ort.InferenceSession:
    """A session for a model. Raises EngineError where its provider cannot be had."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = execution.threads
    # Threads that wait by turning in circles take the cores from those of the other networks.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Pictures come in any size. An arena and a plan for each size would never give memory back.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    names = providers(execution.provider)
    started = ort.InferenceSession(
        model, options, providers=names, provider_options=[_OPTIONS.get(name, {}) for name in names]
    )
    # ONNX Runtime goes on without a provider that does not start, for want of a device, say.
    if execution.provider != "auto" and names[0] not in started.get_providers():
        raise EngineError(f"the provider {execution.provider} is installed but does not start on this machine")
    return started


def run(started: ort.InferenceSession, fed: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """The one output of a model for its inputs. Raises NetworkFailed."""
    try:
        output: npt.NDArray[np.float32] = started.run(None, fed)[0]
    except (RuntimeException, Fail, EPFail) as error:
        raise NetworkFailed(str(error)) from error
    return output


def providers(name: str) -> list[str]:
    """ONNX Runtime's providers for a setting, the processor last. Raises EngineError where the one named is absent."""
    present = set(ort.get_available_providers())
    if name == "auto":
        # TensorRT and OpenVINO prepare themselves for every size of batch anew: they are for those who ask for them.
        return [it for it in ("CUDAExecutionProvider", _PROCESSOR) if it in present]
    if _PROVIDERS[name] not in present:
        has = ", ".join(short for short, full in _PROVIDERS.items() if full in present)
        raise EngineError(
            f"the provider {name} is not in this ONNX Runtime, which has: {has}; "
            f"the package {_PACKAGES[name]}, in the place of onnxruntime, has it"
        )
    return list(dict.fromkeys([_PROVIDERS[name], _PROCESSOR]))


def accelerated(name: str) -> bool:
    """Whether a setting asks for more than ONNX Runtime's own processor code. Raises EngineError as `providers`."""
    return providers(name)[0] != _PROCESSOR
