"""set_by_lua*."""

import os

import pytest

from lua_conf import http_lua
from resolua_server import MODULES


def test_a_block_gives_the_value(start):
    server = start(http_lua("ngx.say(ngx.var.sum, ' ', ngx.var.b)", """
        set $a 3;
        set_by_lua_block $sum { return ngx.var.a + 4 }
        set $b "<$sum>";"""))
    assert server.http("/t").text == "7 <7>\n"


def test_arguments(start):
    server = start(http_lua("ngx.say(ngx.var.x)", """
        set_by_lua $x 'return ngx.arg[1] .. "-" .. ngx.arg[2] ..
            tostring(ngx.arg[3])' $arg_q two;"""))
    assert server.http("/t?q=one").text == "one-twonil\n"


def test_a_file(start):
    server = start(http_lua(
        "ngx.say(ngx.var.x)", "set_by_lua_file $x @FOLDER@/x.lua a;"),
        run=False)
    server.file("x.lua", "return ngx.arg[1]:upper() .. ngx.get_phase()")
    server.start()
    assert server.http("/t").text == "Aset\n"


def test_no_value_and_others(start):
    server = start(http_lua("ngx.say(ngx.var.x, ngx.var.y, ngx.var.z)", """
        set_by_lua_block $x { }
        set_by_lua_block $y { return true }
        set_by_lua_block $z { return 1.5, 2 }"""))
    assert server.http("/t").text == "true1.5\n"


def test_in_server_and_if(start):
    server = start(http_lua(
        "ngx.say(ngx.var.x)",
        "if ($arg_q) { set_by_lua_block $x { return 'if' } }",
        "set_by_lua_block $x { return 'server' }"))
    assert server.http("/t").text == "server\n"
    assert server.http("/t?q=1").text == "if\n"


def test_an_error_is_500_and_sleep_is_refused(start):
    server = start(http_lua("ngx.say('no')",
                            "set_by_lua_block $x { ngx.sleep(0) }"))
    server.allow_log("API disabled")
    assert server.http("/t").status == 500
    server.wait_for_log("API disabled in the context of set_by_lua")


def test_directives_of_other_modules(start):
    path = os.path.join(MODULES, "ngx_http_set_misc_module.so")
    if not os.path.exists(path):
        pytest.skip("no set-misc module")
    server = start(http_lua("""
        local set = ndk.set_var
        ngx.say(set.set_escape_uri("a b/"), set.set_encode_hex("az"),
                set.set_quote_sql_str("it's"))
        ngx.say(select(2, pcall(function() return set.set_none("x") end)))
    """), main="load_module %s;" % path)
    lines = server.http("/t").text.splitlines()
    assert lines[0] == "a%20b%2F617a'it\\'s'"
    assert '"set_none" not found' in lines[1]


def test_a_file_by_variable(start):
    server = start(http_lua(
        "ngx.say(ngx.var.x)", "set $n $arg_n; set_by_lua_file $x by/$n.lua a;"),
        run=False)
    server.file("by/one.lua", "return 'one' .. ngx.arg[1]")
    server.file("by/two.lua", "return 'two' .. ngx.arg[1]")
    server.folder.chmod(0o755)
    server.start()
    for name in ("one", "two", "one"):
        assert server.http(f"/t?n={name}").text == name + "a\n"
    assert server.http("/t?n=none").status == 500
    assert "by/none.lua" in server.log()
