# One image, two programs: `dbmigrate` (the runner, the default) and `dbmigrate-operator`.
#
# The final image has three layers: the system with the PostgreSQL client programs, the locked
# dependencies, and our own package, so that a change of source replaces a few hundred kilobytes.
# Any image with Debian's apt and python3 (3.11 or later, with venv) serves as PYTHON_IMAGE. It also
# decides the PostgreSQL client: Debian 12 has 15, Debian 13 (python:3.13-slim) has 17.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim

FROM ${PYTHON_IMAGE} AS tools
# Where a proxy's own certificate is mounted over this file, both programs must read it.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN python3 -m venv /tools \
    && /tools/bin/pip install --quiet --no-cache-dir uv==0.13.9 hatchling==1.31.0

FROM tools AS dependencies
WORKDIR /source
COPY pyproject.toml uv.lock ./
# Bytecode is never compared with its source again: the image does not change, imports are faster.
ENV UV_PROJECT_ENVIRONMENT=/opt/dbmigrate \
    UV_PYTHON=python3 \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH
RUN /tools/bin/uv sync --quiet --no-cache --locked --no-dev --extra operator --no-install-project \
    # The Kubernetes client is 75 MB of generated source: its bytecode alone does the same work.
    && cd /opt/dbmigrate/lib/python3*/site-packages/kubernetes \
    && find . -name __pycache__ -prune -exec rm -r {} + \
    && python3 -m compileall -q -b --invalidation-mode unchecked-hash . \
    && find . -name '*.py' -delete

FROM dependencies AS project
COPY README.md LICENSE ./
COPY operator operator
RUN /tools/bin/hatchling build --target wheel --directory /wheels \
    && /tools/bin/uv pip install --quiet --offline --no-deps --python /opt/dbmigrate/bin/python \
        --prefix /project /wheels/*.whl

FROM ${PYTHON_IMAGE} AS system
# Debian's client package wants a Perl wrapper that chooses between versions: with one version only
# its programs and their libraries are needed, which saves 50 MB.
RUN apt-get update -q \
    && cd /tmp \
    && apt-get download -q "$(apt-cache depends postgresql-client \
        | sed -n 's/.*Depends: \(postgresql-client-[0-9]*\)$/\1/p')" \
    && apt-get install -q --yes --no-install-recommends $(dpkg-deb --field postgresql-client-*.deb Depends \
        | tr ',' '\n' | sed 's/[ (|].*//2; s/^ *//; s/ .*//' \
        | grep --invert-match --extended-regexp 'postgresql-client-common|sensible-utils') \
    && dpkg-deb --extract postgresql-client-*.deb / \
    && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ \
    && rm -rf /tmp/* /var/cache/* /var/lib/apt/* /var/log/* \
        /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /usr/share/lintian \
        /usr/share/postgresql/*/man /usr/share/python-wheels /usr/share/zoneinfo \
        /usr/lib/python3*/ensurepip /usr/local/lib/python3*/ensurepip \
        /usr/lib/python3*/lib2to3 /usr/local/lib/python3*/site-packages/pip* \
        /usr/local/lib/python3*/idlelib /usr/local/bin/pip* /usr/local/bin/idle* \
        /usr/lib/*/gconv /usr/lib/*/perl-base /usr/bin/perl* \
    && python3 -m compileall -q "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && echo 'dbmigrate:x:65532:65532::/nonexistent:/usr/sbin/nologin' >>/etc/passwd \
    && echo 'dbmigrate:x:65532:' >>/etc/group

# From scratch, so that what was removed above does not lie hidden in a lower layer.
FROM scratch
COPY --from=system / /
COPY --from=dependencies /opt/dbmigrate /opt/dbmigrate
COPY --from=project /project /opt/dbmigrate
ENV PATH=/opt/dbmigrate/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.title="dbmigrate" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
WORKDIR /
ENTRYPOINT ["dbmigrate"]
