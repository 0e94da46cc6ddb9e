#!/usr/bin/env python3
"""clang-tidy over the product's C, two files at a time or as many as there are cores.

usage: tidy.py COMPILE_COMMANDS FOLDER

FOLDER keeps an empty file for each source that has passed, named by a hash of
all that decides: the source, the project's headers that it includes, the command,
.clang-tidy and clang-tidy's version.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ("client", "dns", "store", "ffi", "runtime", "server", "stream", "http")


def product_entries(path):
    """The compile commands of the rooms' files."""
    for entry in json.loads(path.read_text()):
        source = pathlib.Path(entry["file"])
        if source.is_relative_to(TOP) and source.relative_to(TOP).parts[0] in ROOMS:
            yield entry


def includes_of_objects(build):
    """By object file: what it was made of, as ninja has noted it."""
    listing = subprocess.run(["ninja", "-C", build, "-t", "deps"], check=True,
                             capture_output=True, text=True).stdout
    made_of = {}
    for block in listing.split("\n\n"):
        lines = block.splitlines()
        if lines and ": #deps" in lines[0]:
            name = lines[0].split(": #deps")[0].split("] ")[-1]
            made_of[name] = [line.strip() for line in lines[1:]]
    return made_of


class Digests:
    """Hashes of files, each read once."""

    def __init__(self, build):
        self.build = build
        self.known = {}

    def get(self, path):
        """The hash of one file; of its name alone where it lies elsewhere."""
        real = (self.build / path).resolve()
        if real not in self.known:
            own = real.is_relative_to(TOP) and real.is_file()
            content = real.read_bytes() if own else str(real).encode()
            self.known[real] = hashlib.sha256(content).hexdigest()
        return self.known[real]


def key_of(entry, includes, digests, tool):
    """The name under which the result for this file is kept."""
    parts = [tool, entry["command"], digests.get(entry["file"])]
    parts += sorted(f"{digests.get(path)}" for path in includes)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def check(entry, commands):
    """Runs clang-tidy on one file: its findings, or nothing."""
    done = subprocess.run(
        ["nice", "clang-tidy", "--quiet", "-p", commands.parent,
         "--extra-arg=-Wno-unknown-warning-option", "--header-filter=/rooms/",
         entry["file"]],
        capture_output=True, text=True, check=False)
    return done.stdout or (done.stderr if done.returncode else "")


def tool_key():
    """What decides for all files."""
    version = subprocess.run(["clang-tidy", "--version"], check=True,
                             capture_output=True, text=True).stdout
    return version + (TOP / ".clang-tidy").read_text()


def object_of(entry):
    """The object file's name, as ninja has it."""
    words = entry["command"].split()
    return words[words.index("-o") + 1]


def main():
    """Returns the exit status."""
    commands = pathlib.Path(sys.argv[1]).resolve()
    kept = pathlib.Path(sys.argv[2])
    kept.mkdir(parents=True, exist_ok=True)
    made_of = includes_of_objects(commands.parent)
    digests = Digests(commands.parent)
    tool = tool_key()
    passed_before = set(os.listdir(kept))
    keys = {}
    for entry in product_entries(commands):
        key = key_of(entry, made_of.get(object_of(entry), []), digests, tool)
        keys[key] = entry

    for name in passed_before - set(keys):
        (kept / name).unlink()

    todo = [key for key in keys if key not in passed_before]
    failed = set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda key: check(keys[key], commands), todo)
        for key, findings in zip(todo, results):
            if findings:
                failed.update(line for line in findings.splitlines(True))
                print(findings, end="", flush=True)
            else:
                (kept / key).touch()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
