"""access_by_lua* among nginx's own access handlers, as `satisfy` joins them."""

import pytest

from resolua_server import Server

CODES = {
    "end": "return",
    "ok": "ngx.exit(ngx.OK)",
    "declined": "ngx.exit(ngx.DECLINED)",
    "declined_late": "ngx.sleep(0.001) ngx.exit(ngx.DECLINED)",
    "declined_in_thread":
        "ngx.thread.wait(ngx.thread.spawn(ngx.exit, ngx.DECLINED))",
    "forbidden": "ngx.exit(403)",
    "forbidden_late": "ngx.sleep(0.001) ngx.exit(403)",
    "unauthorized":
        "ngx.header['WWW-Authenticate'] = 'Lua' ngx.exit(401)",
    "not_found": "ngx.exit(404)",
    "fails": "error('on purpose')",
}
NO_SAY = ("declined", "declined_late", "declined_in_thread")
BASIC = "auth_basic x; auth_basic_user_file @FOLDER@/users;"
OTHERS = {
    "alone": "",
    "denied": "deny all;",
    "allowed": "allow all;",
    "basic": BASIC,
    "basic_denied": "deny all; " + BASIC,
    "request_denied": "auth_request /no;",
    "request_allowed": "auth_request /yes;",
}
# Of each code in the order above.  Lua's part comes last.
ANY = {
    "alone": [200, 200, 200, 200, 200, 403, 403, 401, 404, 500],
    "denied": [200, 200, 403, 403, 403, 403, 403, 401, 404, 500],
    "allowed": [200] * 10,
    "basic": [200, 200, 401, 401, 401, 401, 401, 401, 404, 500],
    "basic_denied": [200, 200, 401, 401, 401, 401, 401, 401, 404, 500],
    "request_denied": [200, 200, 403, 403, 403, 403, 403, 401, 404, 500],
    "request_allowed": [200] * 10,
}
ALL = {
    "alone": [200, 200, 200, 200, 200, 403, 403, 401, 404, 500],
    "denied": [403] * 10,
    "allowed": [200, 200, 200, 200, 200, 403, 403, 401, 404, 500],
    "basic": [401] * 10,
    "basic_denied": [403] * 10,
    "request_denied": [403] * 10,
    "request_allowed": [200, 200, 200, 200, 200, 403, 403, 401, 404, 500],
}


def locations():
    for satisfy in "any", "all":
        for other, directives in OTHERS.items():
            for name, code in CODES.items():
                yield ("location = /%s/%s/%s { satisfy %s; %s "
                       "access_by_lua_block { %s } content_by_lua_block { "
                       "ngx.say('in') } }"
                       % (satisfy, other, name, satisfy, directives, code))


@pytest.fixture(scope="module", name="server")
def one_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("access"), """
        http { server { listen 127.0.0.1:@HTTP@;
            location = /no { return 403; }
            location = /yes { return 200; }
            %s } }""" % "\n".join(locations()))
    (server.folder / "users").write_text("u:{PLAIN}p\n")
    server.allow_log("on purpose")
    server.start()
    yield server
    server.stop()
    server.check_log()


@pytest.mark.parametrize("satisfy, table", [("any", ANY), ("all", ALL)])
def test_who_gets_in(server, satisfy, table):
    for other, statuses in table.items():
        got = [server.http(f"/{satisfy}/{other}/{name}").status
               for name in CODES]
        assert got == statuses, other


# A browser asks for a password only then.
def test_the_challenge_of_auth_basic_stays(server):
    for name in (*NO_SAY, "forbidden", "forbidden_late"):
        reply = server.http("/any/basic/" + name)
        assert reply.headers["WWW-Authenticate"] == 'Basic realm="x"'
    reply = server.http("/any/basic/unauthorized")
    assert reply.headers["WWW-Authenticate"] == "Lua"
    reply = server.http("/any/basic/ok")
    assert reply.headers["WWW-Authenticate"] is None


def test_a_password_is_enough(server):
    who = {"Authorization": "Basic dTpw"}
    for name in CODES:
        assert server.http("/any/basic/" + name, headers=who).status == 200
    for name in NO_SAY:
        assert server.http("/all/basic/" + name, headers=who).status == 200
