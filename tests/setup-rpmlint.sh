#!/bin/sh
# Makes the Python environment that has rpmlint: target/rpmlint. It reads packages through the
# bindings of Debian's python3-rpm, which are for Debian's Python.
set -e
cd "$(dirname "$0")/.."
[ -x target/rpmlint/bin/python ] || /usr/bin/python3 -m venv target/rpmlint
[ -x target/rpmlint/bin/rpmlint ] || target/rpmlint/bin/pip install --quiet rpmlint
