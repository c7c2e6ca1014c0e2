# The consumers and the command line; Kafka and PostgreSQL are services of their own (docker-compose.yml).
FROM python:3.11-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends g++
RUN python -m venv /opt/facestream
ENV PATH=/opt/facestream/bin:$PATH
# Without it hnswlib is compiled for the processor of the build machine only.
ENV HNSWLIB_NO_NATIVE=1
WORKDIR /source
COPY requirements requirements
RUN pip install --no-cache-dir --require-hashes --requirement requirements/build.txt
RUN pip install --no-cache-dir --require-hashes --no-build-isolation --requirement requirements/product.txt
COPY . .
RUN pip install --no-cache-dir --no-build-isolation --no-deps .

FROM python:3.11-slim-bookworm AS product
RUN useradd --create-home facestream
COPY --from=build /opt/facestream /opt/facestream
ENV PATH=/opt/facestream/bin:$PATH
USER facestream
WORKDIR /home/facestream
# A volume mounted here takes its owner from it: snapshots are kept below.
RUN mkdir --parents data/erasures
ENTRYPOINT ["facestream"]

# docker build --target gpu: the same with ONNX Runtime for NVIDIA's GPUs, and the libraries of CUDA 13 and cuDNN 9 that it
# needs. The host needs a driver for CUDA 13 (580 or later) and the NVIDIA Container Toolkit.
FROM product AS gpu
USER root
COPY requirements/gpu.txt /tmp/gpu.txt
RUN pip uninstall --yes onnxruntime \
    && pip install --no-cache-dir --require-hashes --requirement /tmp/gpu.txt \
    && rm /tmp/gpu.txt
USER facestream

# What is built without a target.
FROM product
