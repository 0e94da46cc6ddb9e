"""The Lua VM without stream or http: init, timers, coroutines that sleep."""

from resolua_server import wait_for

CONF = r"""
init_by_lua_block {
    -- }
    text = "}" .. [==[ ]] } ]==] --[[ } ]]
}
init_worker_by_lua_block {
    ngx.timer.at(0, function(_, a)
        local step = coroutine.wrap(function(v)
            ngx.sleep(0.01)
            local w = coroutine.yield(v + 1)
            ngx.sleep(0)
            return w
        end)
        local ok, err = pcall(function() ngx.sleep(0) error("bad", 0) end)
        print("steps: ", a, step(1), step("b"), ok, err, text)
    end, "a")
}
"""


def test_user_coroutines_sleep_in_a_timer(start):
    server = start(CONF)

    def log():
        return server.log() if callable(server.log) else server.log

    wait_for(lambda: "steps: a2bfalsebad} ]] } " in log())
