# rke2pack as a container image, for CI systems that run steps in containers (docs/container.md).
# Another base needs a shell and Python 3.11 or newer with venv, as python3.
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
# 1: take wheels from .nox/wheels (nox -s wheels) alone, without a network.
ARG PIP_NO_INDEX=0
ARG SOURCE_DATE_EPOCH=0
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
COPY requirements/runtime.txt .nox/wheel[s] wheels/
COPY LICENSE README.md pyproject.toml ./
COPY charts-manifest charts-manifest
COPY build build
# What only builds stays behind; byte code is checked by its content's hash, not by times.
RUN python3 -m venv /opt/rke2pack \
 && own=/opt/rke2pack/bin/python \
 && $own -m pip install --quiet --no-deps --require-hashes \
    --find-links wheels --requirement wheels/runtime.txt \
 && $own -m pip install --quiet --no-deps --no-build-isolation . \
 && $own -m pip uninstall --quiet --yes \
    hatchling pathspec pip pluggy setuptools trove-classifiers \
 && $own -m compileall -q --invalidation-mode unchecked-hash /opt/rke2pack/lib \
 && mkdir -p /image/opt /image/var/cache/rke2pack /image/work \
 && mv /opt/rke2pack /image/opt/ \
 && chmod 1777 /image/work /image/var/cache/rke2pack \
 && find /image -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

FROM ${BASE}
# Debian packages, as of the day of the build; empty for an image that is the same every time.
ARG PACKAGES=git
RUN if [ -n "$PACKAGES" ]; then \
      apt-get update -q \
      && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $PACKAGES \
      && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/* /var/log/*; \
    fi
COPY --from=build /image/ /
LABEL org.opencontainers.image.title=rke2pack org.opencontainers.image.licenses=Apache-2.0
# Any user may run it: what it writes goes to /work and to the cache.
ENV PATH=/opt/rke2pack/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/cache/rke2pack XDG_CACHE_HOME=/var/cache/rke2pack PYTHONDONTWRITEBYTECODE=1
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["rke2pack"]
CMD ["--help"]
