#!/usr/bin/env python3
"""A room sees its own folder and the rooms below it: other includes fail.

usage: test_rooms.py COMPILE_COMMANDS

Preprocesses an empty file for each room as the build does the room's own files,
with one include line more, and says which includes succeed or fail against the
rules.  The table stands here once more, beside the build's, so that a change of the
build alone is noticed.
"""

import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]

SEES = {
    "client": [],
    "dns": [],
    "store": ["client", "dns"],
    "ffi": ["store", "dns"],
    "runtime": ["client"],
    "server": ["ffi", "store", "client", "dns", "runtime"],
    "stream": ["server", "runtime", "dns"],
    "http": ["server", "runtime", "dns"],
}

# System headers that some room may include and others may not.
SYSTEM = {
    "ngx_core.h": ["runtime", "server", "stream", "http"],
    "ngx_stream.h": ["stream"],
    "ngx_http.h": ["http"],
    "lua.h": ["runtime", "server", "stream", "http"],
    "mysql.h": ["client", "store", "runtime"],
}


def room_commands(path):
    """For each room: the command and folder of one of its files."""
    commands = {}
    for entry in json.loads(path.read_text()):
        source = pathlib.Path(entry["file"])
        if source.parent.parent == TOP:
            commands.setdefault(source.parent.name, entry)
    return commands


def compiles(entry, line, folder):
    """Whether a file of entry's room with this line compiles."""
    source = pathlib.Path(folder, "include.c")
    source.write_text(line + "\nint nothing_else;\n")
    command = shlex.split(entry["command"])
    command[command.index("-c") + 1] = str(source)
    command[command.index("-o") + 1] = "/dev/null"
    command.append("-E")
    done = subprocess.run(command, cwd=entry["directory"], capture_output=True,
                          check=False, text=True)
    if done.returncode != 0 and "No such file" not in done.stderr:
        raise SystemExit(f"{line} fails for another reason:\n{done.stderr}")
    return done.returncode == 0


def includes_of(room):
    """(include line, may it compile) for the room."""
    for other, sees in SEES.items():
        public = sorted((TOP / other).glob("*.h"))
        private = sorted((TOP / other / "private").glob("*.h"))
        for header in public[:1]:
            yield (f'#include "{other}/{header.name}"',
                   other == room or other in SEES[room])
        for header in private[:1]:
            yield f'#include "{other}/private/{header.name}"', other == room
    for header, rooms in SYSTEM.items():
        yield f"#include <{header}>", room in rooms
    if room != "dns":
        yield "#include <dns/name.h>", "dns" in SEES[room]


# What once compiled, by name.
FORBIDDEN = [
    ("runtime", '#include "server/handle.h"'),
    ("stream", '#include "http/private/ctx.h"'),
    ("dns", '#include "store/lmdb.h"'),
]


def main():
    """Returns the exit status."""
    commands = room_commands(pathlib.Path(sys.argv[1]))
    wrong = []
    count = 0
    if set(commands) != set(SEES):
        raise SystemExit(f"rooms of the build: {sorted(commands)}")
    with tempfile.TemporaryDirectory() as folder:
        cases = [(room, line, may) for room in SEES
                 for line, may in includes_of(room)]
        cases += [(room, line, False) for room, line in FORBIDDEN]
        for room, line, may in cases:
            count += 1
            header = line.split()[1].strip('"<>')
            if line.startswith('#include "') and not (TOP / header).exists():
                wrong.append(f"{header} is no file: this test is out of date")
            elif compiles(commands[room], line, folder) != may:
                verb = "does not compile" if may else "compiles"
                wrong.append(f"{room}/: {line} {verb}")
    print("\n".join(wrong) or f"{count} includes are as the rooms want them")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
