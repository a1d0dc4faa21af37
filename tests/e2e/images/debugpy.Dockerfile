# Python with a debugger in it.
ARG BASE
FROM ${BASE} AS debugpy
ARG PIP_INDEX_URL=
ARG PIP_CERT=
RUN python3 -m venv /venv && /venv/bin/python -m pip install --quiet --no-cache-dir debugpy==1.8.*
ENV PATH=/venv/bin:/usr/bin:/bin
