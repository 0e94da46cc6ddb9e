#!/usr/bin/env python3
"""Functions and variables that nothing needs, or that are visible without need.

usage: exports.py SOURCE_TREE BUILD

Three rules, by what nm says of the objects and of the two files that are loaded:

- what a file of the product makes visible to other files is used by one of them, or
  stands in a header that Lua reads (*_ffi.h) and is named in Lua; tests do not count;
- what libresolua.so exports is used by the module or named in Lua;
- what the module exports is nginx's (ngx_module*) or named in Lua.

tools/lint.d/kept_symbols.txt lists what stays all the same, each with its reason.
"""

import pathlib
import re
import subprocess
import sys

ROOMS = ("client", "dns", "store", "ffi", "runtime", "server", "stream", "http")
NGINX = {"ngx_modules", "ngx_module_names", "ngx_module_order"}
WORD = re.compile(r"[A-Za-z_]\w*")


def symbols(paths, *options):
    """(path, name, type) of each symbol that nm lists, in one run for all files."""
    listing = subprocess.run(["nm", "-P", "-A", *options, *paths], check=True,
                             capture_output=True, text=True).stdout
    for line in listing.splitlines():
        path, _, rest = line.partition(": ")
        name, kind = rest.split()[:2]
        yield pathlib.Path(path), name.split("@")[0], kind


def words_of(files):
    """All identifiers in these files."""
    words = set()
    for file in files:
        words.update(WORD.findall(file.read_text()))
    return words


def read_kept(path):
    """The symbols that stay, by name."""
    kept = set()
    for line in path.read_text().splitlines() if path.exists() else []:
        if line and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            if not reason.strip():
                raise SystemExit(f"{path}: {name} stands without a reason")
            kept.add(name)
    return kept


def unused_globals(objects):
    """Symbols of one object that no other object names: (name, object)."""
    defined, used = {}, set()
    for path, name, kind in symbols(objects, "-g"):
        if kind in "Uwv":
            used.add(name)
        else:
            defined[name] = path
    return {name: path for name, path in defined.items() if name not in used}


def source_of(top, path, room):
    """The file of the room, or of a folder in it, that the object is made from."""
    parts = path.parts
    inside = parts[parts.index(f"{room}.dir") + 1:]
    return top.joinpath(room, *inside).with_suffix("")


def main():
    """Returns the exit status."""
    top, build = (pathlib.Path(argument) for argument in sys.argv[1:3])
    objects = [path for room in ROOMS
               for path in build.glob(f"{room}/CMakeFiles/{room}.dir/**/*.o")
               if source_of(top, path, room).exists()]
    if not objects:
        raise SystemExit(f"no object of any room in {build}")
    library = next(build.glob("lib/libresolua.so"))
    module = next(build.glob("modules/*.so"))
    lua = words_of(sorted((top / "lua").rglob("*.lua")))
    in_ffi = words_of(file for room in ROOMS
                      for file in (top / room).glob("*_ffi.h"))
    kept = read_kept(top / "tools/lint.d/kept_symbols.txt")
    fine = NGINX | (in_ffi & lua)

    wrong = []
    unused = unused_globals(objects)
    for name, path in sorted(unused.items()):
        if name not in fine | kept:
            wrong.append(f"{path.name.removesuffix('.o')}: {name} is used by no other "
                         "file: make it static, or remove it")

    needed = {name for _, name, kind in symbols([module], "-D") if kind == "U"}
    exported = {name for _, name, _ in symbols([library], "-D", "--defined-only")}
    for name in sorted(exported - needed - fine - kept):
        wrong.append(f"{library.name}: {name} is exported, and nothing outside uses it")
    for _, name, _ in symbols([module], "-D", "--defined-only"):
        if name not in fine | kept:
            wrong.append(f"{module.name}: {name} is exported, and nothing outside uses it")
    for name in sorted(kept - set(unused) - exported):
        wrong.append(f"kept_symbols.txt: {name} need not stand there any more")

    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
