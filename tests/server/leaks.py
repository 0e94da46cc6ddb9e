"""LeakSanitizer over a server whose module is built with the sanitizers.

    server = start(conf, folder=folder / "server",
                   env=leaks.environment(folder, folder / "server"))
    ...
    server.stop()
    assert leaks.found(server.folder) == []

Each process of it says at its end what nobody points to any more.
"""

import itertools
import re
import subprocess

from resolua_server import sanitizer_environment

# nginx frees its pools at a worker's end, and unloads modules with them: what
# their variables point to would be lost.
SHIM = "int dlclose(void *module) { (void) module; return 0; }"

# nginx's own: connections and their events (ngx_event_process_init()) of
# worker_connections 4096, which the freed pool pointed to.
ARRAYS = [983040, 393216, 393216]
OWN = {sum(some) for size in range(4)
       for some in itertools.combinations(ARRAYS, size)}

# The dynamic linker's own, which variables of threads point to; to look there
# makes LeakSanitizer itself crash now and then.
SUPPRESSED = "".join(f"leak:{name}.c\n" for name in (
    "dl-open", "dl-load", "dl-deps", "dl-exception", "dlerror"))


def environment(folder, log_folder):
    """For a sanitized build; else nothing."""
    base = sanitizer_environment()
    if not base:
        return {}
    shim = folder / "shim_dlclose.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, "-x", "c", "-"],
                   input=SHIM, check=True, text=True)
    (folder / "suppressed").write_text(SUPPRESSED)
    options = base["ASAN_OPTIONS"].replace(
        "detect_leaks=0", f"detect_leaks=1:log_path={log_folder}/leaks")
    return {"LD_PRELOAD": f"{base['LD_PRELOAD']}:{shim}",
            "ASAN_OPTIONS": options, "LSAN_OPTIONS": "exitcode=0:use_tls=0:print_suppressions=0:"
                            f"suppressions={folder}/suppressed"}


def found(log_folder):
    """What was reported."""
    return [text for text in
            (path.read_text() for path in log_folder.glob("leaks.*"))
            if size_of(text) not in OWN]


def size_of(report):
    match = re.search(r"SUMMARY: .*?(\d+) byte\(s\) leaked", report)
    return int(match[1]) if match else -1
