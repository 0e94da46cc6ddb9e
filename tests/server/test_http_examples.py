"""The examples of conf/examples that are about HTTP."""

import re

from resolua_server import BUILD, ROOT


def start_gateway(start):
    text = (ROOT / "conf/examples/gateway/nginx.conf").read_text()
    text = text[text.index("http {"):]
    for word, value in (("@ROOT@", str(ROOT)), ("@BUILD@", str(BUILD)),
                        ("8081", "@HTTP@"), ("8082", "@LOCAL@"),
                        ("8083", "@OTHERS@")):
        text = text.replace(word, value)
    return start(text)


def test_the_gateway_picks_and_rewrites(start):
    server = start_gateway(start)
    assert server.http("/").text == "local, http://www.example.test/\n"


def test_the_gateway_times_each_phase(start):
    server = start_gateway(start)
    server.http("/")
    server.wait_for_log(re.compile(
        r"timing: rewrite \+0\.\d+, access \+0\.\d+, header_filter \+0\.\d+, "
        r"body_filter \+0\.\d+, log \+0\.\d+"))


def test_the_gateway_limits(start):
    server = start_gateway(start)
    replies = [server.http("/") for _ in range(250)]
    refused = [r for r in replies if r.status == 429]
    assert refused and refused[0].headers["Retry-After"] == "1"
    assert sum(r.status == 200 for r in replies) >= 100
