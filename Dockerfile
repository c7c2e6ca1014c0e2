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

FROM python:3.11-slim-bookworm
RUN useradd --create-home facestream
COPY --from=build /opt/facestream /opt/facestream
ENV PATH=/opt/facestream/bin:$PATH
USER facestream
WORKDIR /home/facestream
# A volume mounted here takes its owner from it: snapshots are kept below.
RUN mkdir data
ENTRYPOINT ["facestream"]
