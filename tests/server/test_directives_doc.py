"""docs/directives.md says of each directive where it may stand; nginx is asked
whether that is so, in every block that there is."""

import re
import subprocess

import pytest

from resolua_server import BUILD, MODULES, ROOT, environment

PAGE = ROOT / "docs/directives.md"

# What the words of the page's context column stand for.
BLOCKS = {
    "main": "%s",
    "stream main": "stream { %s }",
    "stream server": "stream { server { listen 127.0.0.1:1; %s } }",
    "stream upstream": "stream { upstream u { server 127.0.0.1:1; %s } }",
    "http main": "http { %s }",
    "http server": "http { server { %s } }",
    "server if": "http { server { if ($arg_x) { %s } } }",
    "http location": "http { server { location / { %s } } }",
    "http location if": "http { server { location / { if ($arg_x) { %s } } } }",
    "http upstream": "http { upstream u { server 127.0.0.1:1; %s } }",
}
LOCATION = ["http location", "http location if"]
SHORT = {"stream": ["stream main", "stream server"], "location": LOCATION,
         "http": ["http main", "http server", *LOCATION]}

HEAD = f"""
load_module {MODULES}/ndk_http_module.so;
load_module {MODULES}/ngx_stream_module.so;
load_module {BUILD}/modules/ngx_resolua_module.so;
events {{}}
pid nginx.pid;
"""


def names_of(cell):
    """`a ARG`, `b*`, `_c`: a, b_block, and what begins as a does."""
    names = []
    for code in re.findall(r"`([^`]+)`", cell):
        name = re.match(r"[\w*]+", code)[0].replace("*", "_block")
        if name.startswith("_"):
            words = names[0].split("_")
            name = "_".join(words[:len(words) - name.count("_")]) + name
        names.append(name)
    return names


def documented():
    """name -> the blocks in which it may stand."""
    found = {}
    for line in PAGE.read_text().splitlines():
        if not line.startswith("| `"):
            continue
        cells = re.split(r"(?<!\\)\|", line)
        for word in cells[2].split(","):
            for name in names_of(cells[1]):
                found.setdefault(name, set()).update(
                    SHORT.get(word.strip(), [word.strip()]))
    return found


def is_allowed(folder, name, block):
    value = "{ }" if name.endswith("_block") else ";"
    (folder / "nginx.conf").write_text(HEAD + block % f"{name} {value}")
    done = subprocess.run(["nginx", "-t", "-p", folder, "-c",
                           folder / "nginx.conf", "-e", "stderr"],
                          capture_output=True, text=True, timeout=60,
                          env=environment())
    assert "unknown directive" not in done.stderr, done.stderr
    return f'"{name}" directive is not allowed here' not in done.stderr


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_page_says_of_a_block(tmp_path, block):
    names = documented()
    assert len(names) > 60
    assert set().union(*names.values()) == set(BLOCKS)
    wrong = [name for name, blocks in names.items()
             if is_allowed(tmp_path, name, BLOCKS[block]) != (block in blocks)]
    assert not wrong
