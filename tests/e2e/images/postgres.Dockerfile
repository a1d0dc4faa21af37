# Debian's PostgreSQL for the tests: a database of its own in /tmp, made at start, for any user.
ARG BASE
FROM ${BASE} AS postgres
RUN apt-get update -q && apt-get install -y -q --no-install-recommends postgresql-15 && rm -rf /var/lib/apt/lists/*
ENV PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin
