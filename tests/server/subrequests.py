"""Subrequests that scripts make."""

from lua_conf import http_lua

SHOW = """
    local function show(res)
        ngx.say(res.status, " ", res.body, " ", tostring(res.truncated))
    end
"""


def ask(start, code, server="", location="", **options):
    running = start(http_lua(SHOW + code, server=server, location=location,
                             **options))
    return running, running.http("/t").text
