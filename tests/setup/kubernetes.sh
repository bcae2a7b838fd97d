#!/bin/sh
# Creates target/kubernetes, the Python environment with the published schemas of Kubernetes. Takes
# about 15 s.
set -e
cd "$(dirname "$0")/../.."
[ -x target/kubernetes/bin/kubernetes-validate ] && exit
python3 -m venv target/kubernetes
target/kubernetes/bin/pip install --quiet kubernetes-validate==1.37.0
