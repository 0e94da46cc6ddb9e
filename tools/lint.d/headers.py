#!/usr/bin/env python3
"""Includes that the rooms do not allow, where the compiler cannot see it.

usage: headers.py SOURCE_TREE

The build gives each room an include path of its own, so that most wrong includes do
not compile.  What is left: paths that go up ("../"), private headers of another room
by any other way, public headers that include private ones, and libraries whose headers
lie where every compiler looks.  Private is what lies in a folder of a room.
"""

import pathlib
import re
import sys

ROOMS = ("client", "dns", "store", "ffi", "runtime", "server", "stream", "http")

# Headers of libraries, and the rooms that may include them.
LIBRARIES = {
    r"lmdb\.h": ("store",),
    r"jansson\.h": ("store",),
    r"hiredis": ("client", "store", "runtime", "server"),
    r"mysql": ("client", "store", "runtime"),
    r"ldns/": ("dns",),
    r"nghttp2/": ("forward", "http"),
    r"pcre2?\.h": ("runtime",),
    r"(lua|lauxlib|lualib|luajit)\.h": ("runtime", "server", "stream", "http"),
    r"(ngx|ndk)_": ("runtime", "server", "stream", "http"),
}

INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]')


def mistake_of(room, file, header):
    """What is wrong with this include; None: nothing."""
    if ".." in pathlib.PurePosixPath(header).parts:
        return "goes up in the tree"
    parts = header.split("/")
    if len(parts) > 2 and parts[0] in ROOMS:
        if parts[0] != room:
            return f"is private to {parts[0]}/"
        if file.suffix == ".h" and file.parent.name == room:
            return "is private, and this header is public"
    for pattern, rooms in LIBRARIES.items():
        if re.match(pattern, header) and room not in rooms:
            return f"is for {', '.join(rooms)} alone"
    return None


def main():
    """Returns the exit status."""
    top = pathlib.Path(sys.argv[1])
    wrong = 0
    for room in ROOMS:
        for file in sorted((top / room).rglob("*.[ch]")):
            for number, line in enumerate(file.read_text().splitlines(), 1):
                found = INCLUDE.match(line)
                mistake = found and mistake_of(room, file, found[1])
                if mistake:
                    print(f"{file.relative_to(top)}:{number}: {found[1]} {mistake}")
                    wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
