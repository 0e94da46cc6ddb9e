#!/usr/bin/env python3
"""The links, anchors and code blocks of the documents.

usage: documents.py SOURCE_TREE BUILD

A relative link leads to a file that exists, and #anchor to a heading of it (as GitHub
makes anchors).  Blocks that say what they hold must be that: lua and sh compile, json
parses, and nginx takes an nginx block, where it stands in the place that suits it.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
REFERENCE = re.compile(r"^\[[^\]]+\]:\s+(\S+)", re.M)
FENCE = re.compile(r"^( *)(```+|~~~+)[ \t]*([^\n`]*)\n(.*?)^ *\2[ \t]*$", re.M | re.S)

# Where a part of a configuration may stand, from the outside in.
PLACES = ("{}", "http {{ {} }}", "http {{ server {{ {} }} }}",
          "http {{ server {{ location /x {{ {} }} }} }}",
          "stream {{ {} }}", "stream {{ server {{ listen 127.0.0.1:1; {} }} }}",
          "http {{ {} server {{ }} }}", "stream {{ {} }}")


def documents(top):
    """Every document of the source tree: not what is built, nor a server's data."""
    return sorted(path for path in top.rglob("*.md")
                  if not {"build", "data"} & set(path.relative_to(top).parts)
                  and not path.relative_to(top).parts[0].startswith("."))


def without_blocks(text):
    """The text with its code taken out, lines kept."""
    text = FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors_of(path):
    """The anchors of a document's headings."""
    anchors, seen = set(), {}
    text = FENCE.sub("", path.read_text())
    for heading in re.findall(r"^#+\s+(.*?)\s*#*$", text, re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")
        count = seen.get(anchor, 0)
        seen[anchor] = count + 1
        anchors.add(f"{anchor}-{count}" if count else anchor)
    return anchors


def link_mistake(path, target):
    """What is wrong with a link; None: nothing."""
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return None
    name, _, anchor = target.partition("#")
    to = path.parent / urllib.parse.unquote(name) if name else path
    if not to.exists():
        return "there is no such file"
    if anchor and to.suffix == ".md" and anchor not in anchors_of(to):
        return f"{to.name} has no heading of that name"
    return None


def fails(command, text=None):
    """The last line of what the command says when it fails; None: it does not."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    return ((done.stderr or done.stdout).strip().splitlines() or ["fails"])[-1]


def nginx_mistake(text, module):
    """nginx takes the text in at least one place."""
    head = (f"load_module /usr/lib/nginx/modules/ndk_http_module.so;\n"
            f"load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"
            f"load_module {module};\n")
    if "load_module" in text:
        head = ""
    reasons = []
    for place in PLACES:
        body = place.format(text)
        if not re.search(r"^\s*events\b", body, re.M):
            body = "events {}\n" + body
        with tempfile.TemporaryDirectory() as folder:
            conf = pathlib.Path(folder, "nginx.conf")
            conf.write_text(f"{head}error_log stderr;\npid {folder}/pid;\n{body}\n")
            reason = fails(["/usr/sbin/nginx", "-t", "-q", "-p", folder, "-c", str(conf),
                            "-e", "stderr"])
        if reason is None:
            return None
        reasons.append(reason)
    return reasons[0]


def json_mistake(text):
    """None where the text is JSON."""
    try:
        json.loads(text)
    except ValueError as error:
        return str(error)
    return None


def block_mistake(language, text, module):
    """What is wrong with a code block; None: nothing, or nobody can say."""
    if language == "json":
        return json_mistake(text)
    if language in ("sh", "bash", "shell"):
        return fails(["bash", "-n"], text)
    if language == "lua":
        return fails(["luajit", "-e", "assert(loadstring(io.read('*a')))"], text)
    if language == "nginx":
        return nginx_mistake(text, module)
    return None


def mistakes_of(path, module):
    """(line, sentence) for each mistake of a document."""
    text = path.read_text()
    plain = without_blocks(text)
    for pattern in (LINK, REFERENCE):
        for found in pattern.finditer(plain):
            mistake = link_mistake(path, found[1])
            if mistake:
                yield plain[:found.start()].count("\n") + 1, f"{found[1]}: {mistake}"
    for found in FENCE.finditer(text):
        mistake = block_mistake(found[3].strip().lower(), found[4], module)
        if mistake:
            yield text[:found.start()].count("\n") + 1, f"code block: {mistake}"


def main():
    """Returns the exit status."""
    top, build = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    module = build / "modules/ngx_resolua_module.so"
    wrong = 0
    for path in documents(top):
        for line, mistake in mistakes_of(path, module):
            print(f"{path.relative_to(top)}:{line}: {mistake}")
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
