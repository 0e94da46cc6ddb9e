/* ngx.md5 and its like, ngx.crc32_*, ngx.encode_base64 and its like,
   ngx.quote_sql_str. */

#include <ngx_md5.h>
#include <ngx_sha1.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "runtime/private/api.h"
#include "runtime/text.h"
#include "runtime/vm.h"

enum { MD5_SIZE = 16, SHA1_SIZE = 20 }; /* octets */


static void
md5_of(lua_State *L, u_char *digest)
{
    ngx_md5_t state;
    const ngx_str_t text = resolua_text_any(L, 1);
    ngx_md5_init(&state);
    ngx_md5_update(&state, text.data, text.len);
    ngx_md5_final(digest, &state);
}


static int
md5(lua_State *L)
{
    u_char digest[MD5_SIZE];
    u_char hex[2 * MD5_SIZE];
    md5_of(L, digest);
    (void) ngx_hex_dump(hex, digest, MD5_SIZE);
    lua_pushlstring(L, (char *) hex, sizeof(hex));
    return 1;
}


static int
md5_bin(lua_State *L)
{
    u_char digest[MD5_SIZE];
    md5_of(L, digest);
    lua_pushlstring(L, (char *) digest, sizeof(digest));
    return 1;
}


static int
sha1_bin(lua_State *L)
{
    u_char digest[SHA1_SIZE];
    ngx_sha1_t state;
    const ngx_str_t text = resolua_text_any(L, 1);
    ngx_sha1_init(&state);
    ngx_sha1_update(&state, text.data, text.len);
    ngx_sha1_final(digest, &state);
    lua_pushlstring(L, (char *) digest, sizeof(digest));
    return 1;
}


static int
hmac_sha1(lua_State *L)
{
    u_char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    ngx_str_t key;
    ngx_str_t text;
    if (lua_gettop(L) != 2) {
        return luaL_error(L, "expecting 2 arguments, but got %d",
                          lua_gettop(L));
    }
    key.data = (u_char *) luaL_checklstring(L, 1, &key.len);
    text.data = (u_char *) luaL_checklstring(L, 2, &text.len);
    if (HMAC(EVP_sha1(), key.data, (int) key.len, text.data, text.len, digest,
             &size) == NULL) {
        return luaL_error(L, "no memory");
    }
    lua_pushlstring(L, (char *) digest, size);
    return 1;
}


static int
crc32_short(lua_State *L)
{
    const ngx_str_t text = resolua_text_any(L, 1);
    lua_pushnumber(L, (lua_Number) ngx_crc32_short(text.data, text.len));
    return 1;
}


static int
crc32_long(lua_State *L)
{
    const ngx_str_t text = resolua_text_any(L, 1);
    lua_pushnumber(L, (lua_Number) ngx_crc32_long(text.data, text.len));
    return 1;
}


static int
encode_base64(lua_State *L)
{
    ngx_str_t text = resolua_text_any(L, 1);
    if (!lua_isnoneornil(L, 2) && !lua_isboolean(L, 2)) {
        return luaL_error(L, "bad no_padding: boolean expected, got %s",
                          luaL_typename(L, 2));
    }
    const int no_padding = lua_toboolean(L, 2);
    ngx_str_t out = {
        0, lua_newuserdata(L, ngx_base64_encoded_length(text.len) + 1)};
    ngx_encode_base64(&out, &text);
    while (no_padding && out.len > 0 && out.data[out.len - 1] == '=') {
        out.len--;
    }
    lua_pushlstring(L, (char *) out.data, out.len);
    return 1;
}


static int
decode_base64(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING) {
        return luaL_error(L, "string argument only");
    }
    ngx_str_t text = resolua_text_any(L, 1);
    ngx_str_t out = {
        0, lua_newuserdata(L, ngx_base64_decoded_length(text.len) + 1)};
    if (ngx_decode_base64(&out, &text) != NGX_OK) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushlstring(L, (char *) out.data, out.len);
    return 1;
}


/* RFC 2045 section 6.8: what is not of the alphabet is passed over. */
static int
decode_base64mime(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING) {
        return luaL_error(L, "string argument only");
    }
    const ngx_str_t text = resolua_text_any(L, 1);
    u_char *kept = lua_newuserdata(L, text.len + 1);
    ngx_str_t in = {0, kept};
    for (size_t i = 0; i < text.len && text.data[i] != '='; i++) {
        const u_char c = text.data[i];
        if (ngx_strchr("+/", c) != NULL
                ? c != '\0'
                : (c >= '0' && c <= '9') ||
                      ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')) {
            kept[in.len++] = c;
        }
    }
    ngx_str_t out = {0,
                     lua_newuserdata(L, ngx_base64_decoded_length(in.len) + 1)};
    if (ngx_decode_base64(&out, &in) != NGX_OK) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushlstring(L, (char *) out.data, out.len);
    return 1;
}


static int
encode_base64url(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING) {
        lua_pushnil(L);
        lua_pushliteral(L, "must provide a string");
        return 2;
    }
    ngx_str_t text = resolua_text_any(L, 1);
    ngx_str_t out = {
        0, lua_newuserdata(L, ngx_base64_encoded_length(text.len) + 1)};
    ngx_encode_base64url(&out, &text);
    lua_pushlstring(L, (char *) out.data, out.len);
    return 1;
}


static int
decode_base64url(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING) {
        lua_pushnil(L);
        lua_pushliteral(L, "must provide a string");
        return 2;
    }
    ngx_str_t text = resolua_text_any(L, 1);
    ngx_str_t out = {
        0, lua_newuserdata(L, ngx_base64_decoded_length(text.len) + 1)};
    if (ngx_decode_base64url(&out, &text) != NGX_OK) {
        lua_pushnil(L);
        lua_pushliteral(L, "invalid input");
        return 2;
    }
    lua_pushlstring(L, (char *) out.data, out.len);
    return 1;
}


/* A literal for MySQL, in single quotes. */
static int
quote_sql_str(lua_State *L)
{
    static const char plain[] = "\0\b\n\r\t\x1a\\'\"";
    static const char letters[] = "0bnrtZ\\'\"";
    ngx_str_t text;
    if (lua_gettop(L) != 1) {
        return luaL_error(L, "expecting one argument");
    }
    text.data = (u_char *) luaL_checklstring(L, 1, &text.len);
    u_char *out = lua_newuserdata(L, 2 * text.len + 2);
    u_char *to = out;
    *to++ = '\'';
    for (size_t i = 0; i < text.len; i++) {
        const char *found = memchr(plain, text.data[i], sizeof(plain) - 1);
        if (found != NULL) {
            *to++ = '\\';
            *to++ = (u_char) letters[found - plain];
        } else {
            *to++ = text.data[i];
        }
    }
    *to++ = '\'';
    lua_pushlstring(L, (char *) out, (size_t) (to - out));
    return 1;
}


static int
open_base64(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"encode_base64url", encode_base64url},
        {"decode_base64url", decode_base64url},
        {"decode_base64mime", decode_base64mime},
        {NULL, NULL},
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}


void
resolua_digest_setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"md5", md5},
        {"md5_bin", md5_bin},
        {"sha1_bin", sha1_bin},
        {"hmac_sha1", hmac_sha1},
        {"crc32_short", crc32_short},
        {"crc32_long", crc32_long},
        {"encode_base64", encode_base64},
        {"decode_base64", decode_base64},
        {"decode_base64mime", decode_base64mime},
        {"quote_sql_str", quote_sql_str},
        {NULL, NULL},
    };
    luaL_register(L, NULL, functions);
    resolua_vm_preload(L, "ngx.base64", open_base64);
}
