#!/bin/sh
# Creates target/rpmlint, the Python environment of rpmlint. Uses Debian's Python, which the bindings
# in Debian's python3-rpm require.
set -e
cd "$(dirname "$0")/../.."
[ -x target/rpmlint/bin/python ] || /usr/bin/python3 -m venv target/rpmlint
[ -x target/rpmlint/bin/rpmlint ] || target/rpmlint/bin/pip install --quiet rpmlint
