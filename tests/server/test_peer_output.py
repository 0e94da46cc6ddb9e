"""What scripts print: alike under our module and Debian's."""

from lua_peer import compare, content

CASES = {
    "nested": content("ngx.say({1, {'a', true, {false}}}, nil, 1.5)"),
    "table_with_keys": content("ngx.say(pcall(ngx.say, {a = 1}))"),
    "function": content("ngx.say(pcall(ngx.say, print))"),
}

pair, test_is_alike = compare(CASES)
