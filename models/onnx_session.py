"""ONNX Runtime's sessions: on which device the networks compute, and with how many threads."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnx import TensorProto, helper, load_model_from_string
from onnxruntime.capi.onnxruntime_pybind11_state import (
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,
    RuntimeException,
)

from errors import FacestreamError
from models.onnx_graph import serialised
from models.weights import WeightFile, WeightsError
from schemas import defaults

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"
_PROVIDERS = {
    "tensorrt": _TENSORRT,
    "cuda": _CUDA,
    "openvino": "OpenVINOExecutionProvider",
    "cpu": _CPU,
}
_PACKAGES = {"tensorrt": "onnxruntime-gpu", "cuda": "onnxruntime-gpu", "openvino": "onnxruntime-openvino"}
_NVIDIA = (_CUDA, _TENSORRT)
# What ONNX Runtime's own logger says: everything from warnings on, or nothing.
_WARNINGS, _NOTHING = 2, 4
# What is raised for a model, where it is no provider that fails to start.
_REFUSED = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotImplemented, RuntimeException)
# A kind of error; a file of ONNX Runtime's source with the line and the signature of the function.
_PLACE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |/onnxruntime_src/\S+:\d+ .*?\) (?=[A-Z])")
_OPTIONS = {
    # An exhaustive search for the fastest algorithm takes longer for each new size than it saves. TF32 is not exact
    # enough for dlib's scores. An arena that grows by what is requested stays as large as the largest batch.
    _CUDA: {
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
    """A session for a model of ours. Raises EngineError when the provider is unavailable or does not start."""
    try:
        return _session(model, execution)
    except _REFUSED as error:
        raise EngineError(f"the provider {execution.provider} fails: {_first_line(error)}") from error


def foreign_session(file: WeightFile, execution: Execution) -> ort.InferenceSession:
    """A session for a file that a person brought. Raises WeightsError where it is no network, and EngineError."""
    model = file.path.read_bytes()
    # Parts in other files, which ONNX allows, are not in the file's checksum.
    elsewhere = f"{file.path} has its weights in another file: save the network as one file (onnx.save)"
    try:
        started = _session(model, execution)
    except _REFUSED as error:
        if "External data" in str(error):
            raise WeightsError(elsewhere) from error
        raise WeightsError(f"{file.path} is no ONNX network that can be loaded: {_first_line(error)}") from error
    if any(part.data_location == TensorProto.EXTERNAL for part in load_model_from_string(model).graph.initializer):
        raise WeightsError(elsewhere)
    return started


def _session(model: bytes, execution: Execution) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = execution.threads
    # Threads that spin while they wait take the cores from the threads of the other networks.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Images come in any size. A memory arena and a memory plan for each size would never be freed.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    names = providers(execution.provider)
    started, reason = _started(model, options, names)
    if started is None or (execution.provider != "auto" and names[0] not in started.get_providers()):
        raise EngineError(f"the provider {execution.provider} is installed but does not start on this machine{reason}")
    return started


def _started(
    model: bytes, options: ort.SessionOptions, names: Sequence[str]
) -> tuple[ort.InferenceSession | None, str]:
    """A session, and why the first provider is not in it, as far as ONNX Runtime says so; no session without any.

    ONNX Runtime continues without a provider that does not start, where there is no device, for example. What it prints
    about that is for the reason alone: whoever reads the output of a command reads one line.
    """
    printed = io.StringIO()
    if names[0] not in _NVIDIA:
        return _created(model, options, names), ""
    # Of TensorRT it is no option of the provider: see _OPTIONS.
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    ort.set_default_logger_severity(_NOTHING)
    try:
        with contextlib.redirect_stdout(printed):
            # CUDA's libraries may be those of Python's packages (requirements/gpu.txt), which the loader does not find.
            ort.preload_dlls()
        started = _created(model, options, names)
    except (ValueError, RuntimeError, EPFail) as error:
        return None, f": {_first_line(error)}"
    finally:
        ort.set_default_logger_severity(_WARNINGS)
    return started, f": {_first_line(printed.getvalue()) or 'there is no GPU, or no driver that can be used'}"


def _created(model: bytes, options: ort.SessionOptions, names: Sequence[str]) -> ort.InferenceSession:
    options_of_each = [_OPTIONS.get(name, {}) for name in names]
    # With a fallback, the CPU replaces a provider that fails, now or in a later call, without an error.
    return ort.InferenceSession(
        model, options, providers=names, provider_options=options_of_each, enable_fallback=False
    )


def _first_line(text: object) -> str:
    """The first line of what ONNX Runtime says, without its code for the error and the place in its source."""
    return _PLACE.sub("", str(text).strip().partition("\n")[0])[:300]


def run(started: ort.InferenceSession, inputs: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """The one output of a model for its inputs by name. Raises NetworkFailed."""
    return run_all(started, inputs)[0]


def run_all(started: ort.InferenceSession, inputs: Mapping[str, npt.NDArray[Any]]) -> Sequence[npt.NDArray[np.float32]]:
    """All outputs of a model, in its order. Raises NetworkFailed."""
    try:
        outputs: Sequence[npt.NDArray[np.float32]] = started.run(None, inputs)
    except (RuntimeException, Fail, EPFail, InvalidArgument) as error:
        raise NetworkFailed(_first_line(error)) from error
    return outputs


def providers(name: str) -> list[str]:
    """ONNX Runtime's providers for a setting, by preference, the CPU last.

    `name` is auto, tensorrt, cuda, openvino or cpu. Raises EngineError when that provider is not installed.
    """
    available = set(ort.get_available_providers())
    if name == "auto":
        # TensorRT and OpenVINO compile the network for each new batch size, so they are only used when asked for.
        return [_CUDA, _CPU] if _CUDA in available and _cuda_starts() else [_CPU]
    if _PROVIDERS[name] not in available:
        installed = ", ".join(short for short, full in _PROVIDERS.items() if full in available)
        raise EngineError(
            f"the provider {name} is not in this ONNX Runtime, which has: {installed}; "
            f"install the package {_PACKAGES[name]} instead of onnxruntime"
        )
    # What TensorRT cannot compute, CUDA does.
    return list(dict.fromkeys([_PROVIDERS[name], *([_CUDA] if name == "tensorrt" else []), _CPU]))


@cache
def _cuda_starts() -> bool:
    """Whether a network of one node starts on CUDA. Where the provider is installed there may be no GPU."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("value", "same")]
    graph = helper.make_graph([helper.make_node("Identity", ["value"], ["same"])], "trial", value[:1], value[1:])
    started, _ = _started(serialised(graph), ort.SessionOptions(), [_CUDA, _CPU])
    return started is not None and _CUDA in started.get_providers()


def accelerated(name: str) -> bool:
    """Whether a setting selects anything but ONNX Runtime's own CPU code. Raises EngineError like `providers`."""
    return providers(name)[0] != _CPU


def on_gpu(name: str) -> bool:
    """Whether a setting selects a GPU: OpenVINO computes on the processor. Raises EngineError like `providers`."""
    return providers(name)[0] in _NVIDIA
