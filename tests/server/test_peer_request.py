"""Requests, and how they end: alike under our module and Debian's."""

from lua_peer import Case, compare, get

SERVER = """
location @hi { content_by_lua_block { ngx.say("hi ", ngx.var.args,
    ngx.var.uri) } }
location @nerr { content_by_lua_block { ngx.say("nerr ", ngx.status) } }
location = /err { content_by_lua_block { ngx.say("err ", ngx.status) } }
location = /err2 { content_by_lua_block { ngx.status = 202 ngx.say("err ",
    ngx.status) } }
location = /errs { content_by_lua_block { ngx.sleep(0.001) ngx.say("err ",
    ngx.status) } }
location = /errp { proxy_pass http://127.0.0.1:@HTTP@/back; }
location = /errstatic { return 200 "st"; }
location = /back { content_by_lua_block { ngx.print(ngx.req.raw_header()) } }
location = /w16b { content_by_lua_block { ngx.say(ngx.ctx.a) } }
location = /w16h { content_by_lua_block { ngx.say(ngx.ctx.a)
    ngx.say(ngx.req.get_body_data()) ngx.say(ngx.is_subrequest,
    ngx.req.is_internal()) } }
location = /bar { header_filter_by_lua_block { return ngx.exit(302) } return
    200 "hi"; }
location = /e302 { header_filter_by_lua_block { ngx.header.location="/x"
    ngx.exit(302) } content_by_lua_block { ngx.say("body") } }
location = /e302b { header_filter_by_lua_block { ngx.header.location="/x"
    ngx.exit(302) } return 200 "hi"; }
location = /bar2 { content_by_lua_block { ngx.say("bar2", ngx.status) } }
location = /bar3 { return 200 "bar3"; }
"""

CASES = {
    'add_an_empty_header': Case(
        'location = @@ { content_by_lua_block { local q=require '
        '"ngx.req" q.add_header("X-A","") local '
        'h=ngx.req.get_headers()["x-a"] ngx.say(type(h), h, "|") } }'),
    'add_a_header_with_a_number_for_a_name': Case(
        'location = @@ { content_by_lua_block { local q=require '
        '"ngx.req" ngx.say(pcall(q.add_header, 12, "b")) '
        'ngx.say(ngx.req.get_headers()["12"]) } }'),
    'add_no_response_header': Case(
        'location = @@ { content_by_lua_block { local q=require '
        '"ngx.resp" ngx.say(pcall(q.add_header, "X-A", {})) } }'),
    'set_an_empty_header': Case(
        'location = @@ { content_by_lua_block { '
        'ngx.req.set_header("X-A","") local '
        'h=ngx.req.get_headers()["x-a"] ngx.say(type(h), h, "|") } }'),
    'add_headers_of_a_table': Case(
        'location = @@ { content_by_lua_block { local q=require '
        '"ngx.req" ngx.say(pcall(q.add_header, "X-A", {})) '
        'ngx.say(pcall(q.add_header, "X-A", {"", "b"})) local '
        'h=ngx.req.get_headers()["x-a"] ngx.say(type(h), '
        'type(h)=="table" and #h) } }'),
    'add_a_response_header_named_by_a_number': Case(
        'location = @@ { content_by_lua_block { local q=require '
        '"ngx.resp" ngx.say(pcall(q.add_header, 12, "b")) '
        'ngx.say(ngx.header["12"]) } }'),
    'response_headers_by_numbers': Case(
        'location = @@ { content_by_lua_block { ngx.header[12]="b" '
        'ngx.header["X-Z"]={} ngx.say(pcall(function() '
        'ngx.header["X-Y"]={"", "b"} end)) ngx.say(ngx.header[12]) } }'),
    'decode_args_up_to_a_number': Case(
        'location = @@ { content_by_lua_block { for _, a in '
        'ipairs{"=3&foo=3&bar=4", "&&a=1&b=2", "=&=&a=1", "a&b&c", '
        '"=1", "&", "a=1&=2", "a=1&=2&b=3", "a&&b", "&a&b", '
        '"a=1&b=2&"} do for _, m in ipairs{1,2,3,0,-1} do local t, e = '
        'ngx.decode_args(a, m) local k={} for n,v in pairs(t) do '
        'k[#k+1]=n.."="..tostring(v) end table.sort(k) ngx.say(a, " ", '
        'm, " ", table.concat(k,","), " ", e) end end } }'),
    'exec_a_named_location_with_arguments': Case(
        'location = @@ { content_by_lua_block { ngx.exec("@hi?a=1", '
        '"b=2") } }'),
    'exec_a_named_location_with_a_query': Case(
        'location = @@ { content_by_lua_block { ngx.exec("@hi?a=1") } }'),
    'exec_a_named_location_with_a_table': Case(
        'location = @@ { content_by_lua_block { ngx.exec("@hi", {c=1}) '
        '} }'),
    'exec_a_named_location_with_an_empty_query': Case(
        'location = @@ { content_by_lua_block { ngx.exec("@hi?") } }'),
    'exec_an_unknown_name': Case(
        'location = @@ { content_by_lua_block { ngx.exec("@no", {c=1}) '
        '} }'),
    'exec_no_name': Case(
        'location = @@ { content_by_lua_block { ngx.exec("@?a", {c=1}) '
        '} }'),
    'host_in_the_configuration_before': Case(
        'location = @@ { rewrite_by_lua_block { '
        'ngx.req.set_header("Host", "new") } set $foo $host; '
        'content_by_lua_block { ngx.say(ngx.var.foo, ngx.var.host, '
        'ngx.var.http_host) } }'),
    'host_of_a_configuration_variable': Case(
        'location = @@ { set $foo1 $host; rewrite_by_lua_block { '
        'ngx.req.set_header("Host", "new") } content_by_lua_block { '
        'ngx.say(ngx.var.host, ngx.var.http_host) } }'),
    'host_in_its_forms': Case(
        'location = @@ { rewrite_by_lua_block { ngx.say(ngx.var.host) '
        'ngx.req.set_header("Host", "NEW:80") ngx.say(ngx.var.host) '
        'ngx.req.set_header("Host", "[::1]:80")  ngx.say(ngx.var.host) '
        'ngx.req.set_header("Host", "a.b.") ngx.say(ngx.var.host) '
        'ngx.req.clear_header("Host") ngx.say(ngx.var.host) } '
        'content_by_lua_block { } }'),
    'host_that_goes_upstream': Case(
        'location = @@ { rewrite_by_lua_block { '
        'ngx.req.set_header("Host", "new") } proxy_set_header Host '
        '$host; proxy_pass http://127.0.0.1:@HTTP@/back; }'),
    'set_uri_jump_ends_ctx': Case(
        'location = @@ { rewrite_by_lua_block { ngx.ctx.a = 1 '
        'ngx.req.set_uri("/w16b", true) } }'),
    'set_uri_keeps_ctx': Case(
        'location = @@ { rewrite_by_lua_block { ngx.ctx.a = 1 '
        'ngx.req.set_uri("/w16b") } content_by_lua_block { '
        'ngx.say(ngx.ctx.a) } }'),
    'set_uri_jump_after_a_sleep_ends_ctx': Case(
        'location = @@ { rewrite_by_lua_block { ngx.ctx.a = 1 '
        'ngx.sleep(0.001) ngx.req.set_uri("/w16b", true) } }'),
    'set_uri_jump_with_a_body': Case(
        'location = @@ { rewrite_by_lua_block { ngx.ctx.a = 1 '
        'ngx.req.read_body() ngx.req.set_uri("/w16h", true) } }'),
    'error_page_keeps_the_status': Case(
        'location = @@ { error_page 404 = /err; content_by_lua_block { '
        'ngx.exit(404) } }'),
    'error_page_of_access': Case(
        'location = @@ { error_page 404 = /err; access_by_lua_block { '
        'ngx.exit(404) } }'),
    'error_page_static': Case(
        'location = @@ { error_page 404 = /errstatic; '
        'access_by_lua_block { ngx.exit(404) } }'),
    'error_page_without_change': Case(
        'location = @@ { error_page 404 /err; content_by_lua_block { '
        'ngx.exit(404) } }'),
    'error_page_with_a_status': Case(
        'location = @@ { error_page 404 =201 /err; '
        'content_by_lua_block { ngx.exit(404) } }'),
    'error_page_named': Case(
        'location = @@ { error_page 404 = @nerr; content_by_lua_block '
        '{ ngx.exit(404) } }'),
    'error_page_sleeps': Case(
        'location = @@ { error_page 404 = /errs; content_by_lua_block '
        '{ ngx.exit(404) } }'),
    'error_page_of_return': Case(
        'location = @@ { error_page 404 = /err; return 404; }'),
    'error_page_proxied': Case(
        'location = @@ { error_page 404 = /errp; content_by_lua_block '
        '{ ngx.exit(404) } }'),
    'error_page_sets_a_status': Case(
        'location = @@ { error_page 404 = /err2; content_by_lua_block '
        '{ ngx.exit(404) } }'),
    'exit_after_a_sleep': Case(
        'location = @@ { error_page 404 = /err; content_by_lua_block { '
        'ngx.sleep(0.001) ngx.exit(404) } }'),
    'exit_with_the_status_set': Case(
        'location = @@ { error_page 404 = /err; content_by_lua_block { '
        'ngx.status = 404 ngx.exit(404) } }'),
    'error_page_of_rewrite': Case(
        'location = @@ { error_page 404 = /err; rewrite_by_lua_block { '
        'ngx.exit(404) } }'),
    'error_page_of_forbidden': Case(
        'location = @@ { error_page 403 = /err; access_by_lua_block { '
        'ngx.exit(403) } }'),
    'error_page_of_unauthorized': Case(
        'location = @@ { error_page 401 = /err; access_by_lua_block { '
        'ngx.exit(401) } }'),
    'error_page_of_forbidden_static': Case(
        'location = @@ { error_page 403 = /errstatic; '
        'access_by_lua_block { ngx.exit(403) } }'),
    'header_filter_created': Case(
        'location = @@ { header_filter_by_lua_block { ngx.exit(201) } '
        'content_by_lua_block { ngx.say("body") } }'),
    'header_filter_forbidden': Case(
        'location = @@ { header_filter_by_lua_block { ngx.exit(403) } '
        'content_by_lua_block { ngx.say("body") } }'),
    'header_filter_no_content': Case(
        'location = @@ { header_filter_by_lua_block { ngx.exit(204) } '
        'content_by_lua_block { ngx.say("body") } }'),
    'header_filter_redirect': Case(
        'location = @@ { header_filter_by_lua_block { ngx.exit(302) } '
        'content_by_lua_block { ngx.say("body") } }'),
    'header_filter_ok_200': Case(
        'location = @@ { header_filter_by_lua_block { ngx.exit(200) } '
        'content_by_lua_block { ngx.say("body") } }'),
    'header_filter_ok': Case(
        'location = @@ { header_filter_by_lua_block { ngx.exit(ngx.OK) '
        '} content_by_lua_block { ngx.say("body") } }'),
    'header_filter_in_an_error_page': Case(
        'location = @@ { error_page 502 = /e302; '
        'header_filter_by_lua_block { } proxy_pass http://127.0.0.1:1; '
        '}'),
    'header_filter_of_an_upstream': Case(
        'location = @@ { header_filter_by_lua_block { ngx.exit(201) } '
        'proxy_pass http://127.0.0.1:@HTTP@/back; }'),
    'header_filter_of_return': Case(
        'location = @@ { header_filter_by_lua_block { ngx.exit(201) } '
        'return 200 "body"; }'),
    'header_filter_444': Case(
        'location = @@ { header_filter_by_lua_block { '
        'ngx.header["X-A"]="1" ngx.exit(444) } return 200 "body"; }'),
    'header_filter_once_more': Case(
        'location = @@ { header_filter_by_lua_block { if ngx.status == '
        '200 then ngx.exit(503) end ngx.header["X-B"]="2" } '
        'body_filter_by_lua_block { ngx.arg[1] = (ngx.arg[1]):upper() '
        '} return 200 "body"; }'),
    'header_filter_not_modified': Case(
        'location = @@ { header_filter_by_lua_block { '
        'ngx.header.content_length=nil ngx.exit(304) } '
        'content_by_lua_block { ngx.say("body") } }'),
    'header_filter_999': Case(
        'location = @@ { header_filter_by_lua_block { ngx.exit(999) } '
        'content_by_lua_block { ngx.say("body") } }'),
    'header_filter_exits_in_an_error_page': Case(
        'location = @@ { error_page 582 = /bar; '
        'header_filter_by_lua_block { return ngx.exit(582) } '
        'content_by_lua_block { ngx.say("ok") } }'),
    'redirect_in_an_error_page': Case(
        'location = @@ { error_page 404 /e302; return 404; }'),
    'redirect_in_a_static_error_page': Case(
        'location = @@ { error_page 404 /e302b; return 404; }'),
    'redirect_in_an_error_page_of_exit': Case(
        'location = @@ { error_page 404 = /e302b; content_by_lua_block '
        '{ ngx.exit(404) } }'),
    'header_filter_to_a_script': Case(
        'location = @@ { error_page 582 = /bar2; '
        'header_filter_by_lua_block { return ngx.exit(582) } return '
        '200 "ok"; }'),
    'header_filter_to_a_static_page': Case(
        'location = @@ { error_page 582 = /bar3; '
        'header_filter_by_lua_block { return ngx.exit(582) } return '
        '200 "ok"; }'),
    'header_filter_fails': Case(
        'location = @@ { header_filter_by_lua_block { error("x") } '
        'return 200 "ok"; }'),
    'header_filter_sees_the_other_response': Case(
        'location = @@ { header_filter_by_lua_block { '
        'ngx.header["X-A"]=ngx.status if ngx.status < 400 then '
        'ngx.exit(410) end } content_by_lua_block { ngx.say("ok") '
        'ngx.sleep(0.001) ngx.say("no") } }'),
    'header_filter_ends_a_script': Case(
        'location = @@ { header_filter_by_lua_block { ngx.exit(201) } '
        'content_by_lua_block { ngx.say("ok") ngx.sleep(0.001) '
        'ngx.say("no") } log_by_lua_block { ngx.log(ngx.ERR, "LOG ", '
        'ngx.status) } }'),
    'status_say_exit': Case(
        'location = @@ { content_by_lua_block { ngx.status = 404 '
        'ngx.say("{}") return ngx.exit(404) } }'),
    'status_say_exit_other': Case(
        'location = @@ { content_by_lua_block { ngx.status = 404 '
        'ngx.say("{}") return ngx.exit(500) } }'),
    'say_exit': Case(
        'location = @@ { content_by_lua_block { ngx.say("{}") return '
        'ngx.exit(404) } }'),
    'status_flush_exit': Case(
        'location = @@ { content_by_lua_block { ngx.status = 404 '
        'ngx.print("{}") ngx.flush(true) return ngx.exit(ngx.status) } '
        '}'),
    'status_say_exit_in_access': Case(
        'location = @@ { access_by_lua_block { ngx.status = 401 '
        'ngx.say("{}") return ngx.exit(401) } content_by_lua_block { '
        'ngx.say("no") } }'),
    'status_200': Case(
        'location = @@ { content_by_lua_block { ngx.status = 200 '
        'ngx.say("{}") return ngx.exit(200) } }'),
    'status_201_exit_200': Case(
        'location = @@ { content_by_lua_block { ngx.status = 201 '
        'ngx.say("{}") return ngx.exit(ngx.HTTP_OK) } }'),
    'status_exit_ok': Case(
        'location = @@ { content_by_lua_block { ngx.status = 404 '
        'ngx.say("{}") return ngx.exit(ngx.OK) } }'),
    'status_headers_exit': Case(
        'location = @@ { content_by_lua_block { ngx.status = 404 '
        'ngx.send_headers() return ngx.exit(404) } }'),
    'redirect_say_exit': Case(
        'location = @@ { content_by_lua_block { ngx.status=302 '
        'ngx.header.location="/y" ngx.say("{}") return ngx.exit(302) } '
        '}'),
    'status_eof_exit': Case(
        'location = @@ { content_by_lua_block { ngx.status=404 '
        'ngx.say("{}") ngx.eof() return ngx.exit(404) } }'),
    'status_exit_with_error_page': Case(
        'location = @@ { error_page 404 /err; content_by_lua_block { '
        'ngx.status=404 ngx.say("{}") ngx.exit(404) } }'),
}

# Queries of two: what counts where a name is missing.
QUERIES = ("=3&foo=3&bar=4", "&&a=1&b=2", "a=1&", "&", "a=1&=2", "=1&a=2",
           "&&a=1&b=2&c", "a=1&b=2&", "a&b=", "&a&b", "&a&b&c", "")
for number, query in enumerate(QUERIES):
    CASES[f"uri_args_{number}"] = Case(
        "location = @@ { content_by_lua_block { local t, e = "
        "ngx.req.get_uri_args(2) for _, n in ipairs{'a', 'b', 'c', 'foo', "
        "'bar'} do ngx.say(t[n]) end ngx.say(e) } }", get("@@?" + query))

pair, test_is_alike = compare(CASES, server=SERVER)
