#!/usr/bin/env python3
"""tools/lint's own checks find what is planted for them, and nothing else.

usage: test_lint.py
"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
CHECKS = TOP / "tools/lint.d"
FLAGS = ("cc", "-fPIC", "-fvisibility=hidden")
EXPORT = '__attribute__((visibility("default"))) '


class Tree(unittest.TestCase):
    """A source tree in a temporary folder."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = pathlib.Path(folder.name)
        for room in ("dns", "store", "ffi", "runtime", "server", "stream", "http", "lua"):
            (self.top / room).mkdir()

    def write(self, name, text):
        """Puts a file into the tree."""
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def check(self, name, *arguments):
        """The lines that a check prints; it fails if and only if it prints some."""
        done = subprocess.run([sys.executable, CHECKS / name, self.top, *arguments],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.returncode, 1 if done.stdout else 0, done.stdout)
        return done.stdout.splitlines()


class Headers(Tree):
    """headers.py"""

    def test_includes_within_the_rules(self):
        self.write("store/a.c", '#include "store/private/a.h"\n#include "dns/name.h"\n'
                                "#include <lmdb.h>\n")
        self.write("store/private/a.h", '#include "store/private/b.h"\n')
        self.assertEqual(self.check("headers.py"), [])

    def test_each_mistake_is_found_with_its_line(self):
        self.write("dns/a.c", '\n#include "../store/lmdb.h"\n')
        self.write("dns/b.c", "#include <lmdb.h>\n#include <ngx_core.h>\n")
        self.write("stream/a.c", '#  include "http/private/ctx.h"\n')
        self.write("store/load.h", '#include "store/private/buffer.h"\n')
        self.assertEqual(self.check("headers.py"), [
            "dns/a.c:2: ../store/lmdb.h goes up in the tree",
            "dns/b.c:1: lmdb.h is for store alone",
            "dns/b.c:2: ngx_core.h is for runtime, server, stream, http alone",
            "store/load.h:1: store/private/buffer.h is private, and this header is public",
            "stream/a.c:1: http/private/ctx.h is private to http/",
        ])


class Documents(Tree):
    """documents.py"""

    def check(self, *texts):
        """The mistakes of docs/a.md."""
        self.write("docs/a.md", "\n".join(texts))
        return super().check("documents.py", self.top / "build")

    def test_links(self):
        self.write("docs/b.md", "# A `name`, and more\n## Twice\n## Twice\n")
        self.assertEqual(self.check(
            "[x](b.md) [x](b.md#a-name-and-more) [x](b.md#twice-1) [x](#own)",
            "`[x](none.md)` [x](https://example.org/none)",
            "# Own"), [])
        self.assertEqual(self.check("", "[x](none.md)", "[x](b.md#none) [x](#none)"), [
            "docs/a.md:2: none.md: there is no such file",
            "docs/a.md:3: b.md#none: b.md has no heading of that name",
            "docs/a.md:3: #none: a.md has no heading of that name",
        ])

    def test_code_blocks(self):
        self.assertEqual(self.check(
            "```lua", "local a = 1", "```", "```json", "[1]", "```",
            "```sh", "for a in b; do c; done", "```", "```", "?", "```"), [])
        found = self.check("```lua", "local = 1", "```", "", "```json", "[1", "```",
                           "```sh", "for a in", "```")
        self.assertEqual([line.split(": code block: ")[0] for line in found],
                         ["docs/a.md:1", "docs/a.md:5", "docs/a.md:8"])


class Exports(Tree):
    """exports.py"""

    def compile(self, room, name, text):
        """An object where the build would put it."""
        source = self.write(f"{room}/{name}.c", text)
        made = self.top / f"build/{room}/CMakeFiles/{room}.dir/{name}.c.o"
        made.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([*FLAGS, "-c", source, "-o", made], check=True)
        return made

    def link(self, path, *objects):
        """A shared object of these."""
        made = self.top / "build" / path
        made.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-shared", "-o", made, *objects], check=True)

    def build(self, library, module):
        """The two files that are loaded, of two objects and of one."""
        one = self.compile("dns", "one", library)
        two = self.compile("dns", "two", "int one(void);\nint two(void);\n"
                                         "int two(void) { return one(); }\n")
        user = self.compile("stream", "user", module)
        self.link("lib/libresolua.so", one, two)
        self.link("modules/ngx_resolua_module.so", user)
        return super().check("exports.py", self.top / "build")

    def test_what_is_used_or_kept_or_luas(self):
        self.write("lua/a.lua", "C.of_lua()")
        self.write("ffi/a_ffi.h", "int of_lua(void);")
        self.write("tools/lint.d/kept_symbols.txt", "# why\nkept tests ask it\n")
        self.assertEqual(self.build(
            f"int one(void) {{ return 1; }}\n{EXPORT}int of_lua(void) {{ return 1; }}\n"
            f"{EXPORT}int kept(void) {{ return 1; }}\n",
            "int two(void);\nstatic int f(void) { return two(); }\n"
            "int ngx_modules(void) { return f(); }\n"), [])

    def test_what_nobody_uses(self):
        self.write("tools/lint.d/kept_symbols.txt", "gone once\none is used\n")
        self.assertEqual(self.build(
            f"{EXPORT}int one(void) {{ return 1; }}\nint alone(void) {{ return 1; }}\n",
            "int two(void);\nint ngx_modules(void) { return two(); }\n"
            f"{EXPORT}int ngx_modules_2(void) {{ return 1; }}\n"), [
                "one.c: alone is used by no other file: make it static, or remove it",
                "user.c: ngx_modules_2 is used by no other file: make it static, or remove it",
                "ngx_resolua_module.so: ngx_modules_2 is exported, and nothing outside uses it",
                "kept_symbols.txt: gone need not stand there any more",
            ])
        self.write("tools/lint.d/kept_symbols.txt", "")
        self.assertIn(
            "libresolua.so: one is exported, and nothing outside uses it",
            super().check("exports.py", self.top / "build"))


if __name__ == "__main__":
    unittest.main()
