"""Digests, encodings, constants."""

import base64
import hashlib
import hmac
import zlib

import pytest

from lua_conf import http_lua


@pytest.fixture
def say(start):
    def go(expression):
        return start(http_lua(f"ngx.print({expression})")).http("/t").body
    return go


DATA = b"some \\0 text"
RAW = b"some \0 text"


@pytest.mark.parametrize("call, expected", [
    ("ngx.md5('@')", hashlib.md5(RAW).hexdigest().encode()),
    ("ngx.md5_bin('@')", hashlib.md5(RAW).digest()),
    ("ngx.sha1_bin('@')", hashlib.sha1(RAW).digest()),
    ("ngx.hmac_sha1('key', '@')", hmac.digest(b"key", RAW, "sha1")),
    ("ngx.crc32_short('@')", b"%d" % zlib.crc32(RAW)),
    ("ngx.crc32_long('@')", b"%d" % zlib.crc32(RAW)),
    ("ngx.encode_base64('@')", base64.b64encode(RAW)),
    ("ngx.encode_base64('ab', true)", b"YWI"),
    ("ngx.encode_base64(true)", base64.b64encode(b"true")),
    ("ngx.decode_base64('%s')" % base64.b64encode(RAW).decode(), RAW),
    ("tostring(ngx.decode_base64('a*b'))", b"nil"),
    ("ngx.decode_base64mime('Y W\\nI=')", b"ab"),
    ("require('ngx.base64').encode_base64url('\\255\\254')", b"__4"),
    ("require('ngx.base64').decode_base64url('__4')", b"\xff\xfe"),
    ("select(2, require('ngx.base64').decode_base64url('*'))",
     b"invalid input"),
    ("ngx.quote_sql_str([[a'b\"c\\]] .. '\\n\\0\\26')",
     rb"'a\'b\"c\\\n\0\Z'"),
    ("ngx.OK, ngx.ERROR, ngx.AGAIN, ngx.DONE, ngx.DECLINED", b"0-1-2-4-5"),
    ("ngx.config.prefix():sub(1, 1), type(ngx.config.nginx_configure())",
     b"/string"),
    ("ngx.escape_uri('a b&c/\\xc3'), ngx.unescape_uri('a%20b+c')",
     b"a%20b%26c%2F%C3a b c"),
])
def test_text_functions(say, call, expected):
    assert say(call.replace("@", DATA.decode())) == expected


def test_constants_without_http(start):
    import socket
    server = start("""stream { server { listen 127.0.0.1:@DNS@;
        content_by_lua_block { ngx.print(ngx.OK, ngx.ERROR, ngx.md5("")) } } }
    """)
    with socket.create_connection(("127.0.0.1", server.port("DNS"))) as s:
        got = b"".join(iter(lambda: s.recv(100), b""))
    assert got == b"0-1d41d8cd98f00b204e9800998ecf8427e"
