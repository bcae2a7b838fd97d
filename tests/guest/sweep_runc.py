"""Runs a static program in a new container with runc: sweep_runc.py NAME DIR PROGRAM [ARG...]

The container contains only PROGRAM and the directory DIR, mounted as /data.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

name, directory, program, *arguments = sys.argv[1:]
bundle = tempfile.mkdtemp(prefix="bundle-")
try:
    root = os.path.join(bundle, "rootfs")
    for place in ("data", "dev", "proc", "sys"):
        os.makedirs(os.path.join(root, place))
    shutil.copy(program, os.path.join(root, "program"))
    subprocess.run(["runc", "spec", "--bundle", bundle], check=True)
    spec = os.path.join(bundle, "config.json")
    with open(spec) as file:
        config = json.load(file)
    config["process"].update(terminal=False, args=["/program", *arguments], cwd="/data")
    config["mounts"].append(
        {"destination": "/data", "type": "bind", "source": directory, "options": ["bind", "rw"]}
    )
    with open(spec, "w") as file:
        json.dump(config, file)
    sys.exit(subprocess.run(["runc", "run", "--bundle", bundle, f"wbench-{os.getpid()}-{name}"]).returncode)
finally:
    shutil.rmtree(bundle)
