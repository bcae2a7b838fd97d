#!/bin/sh
# Makes the Python environment that has rpmlint: target/rpmlint.
set -e
cd "$(dirname "$0")/.."
[ -x target/rpmlint/bin/python ] || python3 -m venv target/rpmlint
[ -x target/rpmlint/bin/rpmlint ] || target/rpmlint/bin/pip install --quiet rpmlint
