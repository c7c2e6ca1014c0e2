#!/bin/sh
# Names in one line what this machine lacks, with the command that installs it. As root on Debian, runs that command.
# PYTHON: the interpreter that .venv is made with. A broker that is configured needs no Java here. With the argument
# `browser` it is about Chromium alone, with `tools` about what checks the contract with subscribers. Only tests need
# these: outside of CI they are skipped without them.
set -eu

python=${PYTHON:-python3}
for=${1:-}
java=${JAVA_HOME:+$JAVA_HOME/bin/}java

check() {
    missing='' packages=''
    if [ "$for" = browser ]; then
        command -v chromium >/dev/null || command -v chromium-browser >/dev/null || need Chromium chromium
        return
    fi
    if [ "$for" = tools ]; then
        command -v npm >/dev/null || need npm npm
        command -v kcat >/dev/null || need kcat kcat
        return
    fi
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        need "Python 3.11 or newer (or PYTHON=/path/to/one)" "python3 python3-venv python3-dev"
    else
        "$python" -c 'import venv, ensurepip' 2>/dev/null || need "Python's venv module" python3-venv
        "$python" -c 'import os, sysconfig as s; os.stat(os.path.join(s.get_path("include"), "Python.h"))' 2>/dev/null ||
            need "Python's headers" python3-dev
    fi
    command -v c++ >/dev/null || need "a C++ compiler" g++
    if [ -z "${FACESTREAM_KAFKA__BOOTSTRAP_SERVERS:-}" ]; then
        major=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
        [ "${major:-0}" -ge 17 ] || need "a Java runtime 17 or newer" default-jre-headless
        command -v mvn >/dev/null || need Maven maven
    fi
}

need() {
    missing="$missing${missing:+, }$1"
    packages="$packages $2"
}

check
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -eq 0 ] && [ -e /etc/debian_version ]; then
    echo "facestream: installing what is missing: $missing"
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages >/dev/null
    check
    [ -n "$missing" ] || exit 0
fi
if [ "$for" = browser ] && [ -z "${CI:-}" ]; then
    echo "facestream: no Chromium, so the tests of the desk are skipped. On Debian: sudo apt-get install chromium" >&2
    exit 0
fi
if [ "$for" = tools ] && [ -z "${CI:-}" ]; then
    echo "facestream: missing: $missing, so tests of the contract are skipped. On Debian: sudo apt-get install$packages" >&2
    exit 0
fi
echo "facestream: missing: $missing. On Debian: sudo apt-get install$packages" >&2
exit 1
