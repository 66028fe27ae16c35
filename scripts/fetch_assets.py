#!/usr/bin/env python3
"""Fetches what assets/models.json pins: one file out of one version of one PyPI package each, checked by SHA-256.

    scripts/fetch_assets.py [NAME...]     without names: everything in the manifest

A file that is there and right is left alone. A file that is there and wrong is replaced only by one that is right.
Exits 0 when every file that is asked for is there and right.
"""
# SPDX-License-Identifier: MIT

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MANIFEST = "assets/models.json"


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def download(entry, folder):
    """The package's wheel, through pip and whatever index it is set up for. Nothing of it is run."""
    requirement = "{package}=={version}".format(**entry)
    print("  downloading {} with pip".format(requirement), flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    result = subprocess.run(command + ["--only-binary", ":all:", "--dest", folder, requirement], check=False)
    if result.returncode != 0:
        raise RuntimeError("pip could not download {}: is there a network, and does `{} -m pip` work?".format(
            requirement, sys.executable))
    wheels = [name for name in os.listdir(folder) if name.endswith(".whl")]
    if len(wheels) != 1:
        raise RuntimeError("pip left {} wheels for {}, expected one".format(len(wheels), requirement))
    return os.path.join(folder, wheels[0])


def fetch(entry):
    target = os.path.join(ROOT, entry["path"])
    wanted = entry["sha256"].lower()
    if os.path.exists(target):
        found = sha256_of(target)
        if found == wanted:
            print("  {}: there, SHA-256 right".format(entry["path"]))
            return
        print("  {}: SHA-256 is {}, expected {}: fetching it again".format(entry["path"], found, wanted))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as folder:
        wheel = download(entry, folder)
        unpacked = os.path.join(folder, "unpacked")
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(entry["file"]) as source:
                with open(unpacked, "wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
        except (KeyError, zipfile.BadZipFile) as problem:
            raise RuntimeError("{}: no {} in it ({})".format(os.path.basename(wheel), entry["file"], problem))
        found = sha256_of(unpacked)
        if found != wanted:
            raise RuntimeError("{} from {} {}: SHA-256 is {}, expected {}; it was not kept".format(
                entry["file"], entry["package"], entry["version"], found, wanted))
        os.replace(unpacked, target)
    print("  {}: fetched, SHA-256 right".format(entry["path"]))


def main(names):
    with open(os.path.join(ROOT, MANIFEST), encoding="utf-8") as file:
        manifest = json.load(file)
    entries = {entry["name"]: entry for entry in manifest["models"] + manifest["vocabularies"]}
    failed = 0
    for name in names or entries:
        if name not in entries:
            print("  {}: not in {} (it has {})".format(name, MANIFEST, ", ".join(entries)), file=sys.stderr)
            failed += 1
            continue
        try:
            fetch(entries[name])
        except (RuntimeError, OSError) as problem:
            print("  {}: {}".format(name, problem), file=sys.stderr)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
