--- Digests, checksums, base64 and percent encoding of strings.
-- @module resolua.text

local ffi = require "ffi"

local C = ffi.C
local ffi_string = ffi.string
local floor, type = math.floor, type

local MD5_SIZE, MD5_HEX_SIZE, SHA1_SIZE = 16, 32, 20
local ESCAPE_ALL = 2

-- Consumed before anything can yield.
local room = 4096
local buffer = ffi.new("char[?]", room)

local function reserve(size)
    if size > room then
        room = 2 * size
        buffer = ffi.new("char[?]", room)
    end
    return buffer
end

local function md5_by(slow, in_hex, size)
    return function(text)
        if type(text) ~= "string" then
            return slow(text)
        end
        C.resolua_ffi_md5(text, #text, in_hex, buffer)
        return ffi_string(buffer, size)
    end
end

local function sha1_by(slow)
    return function(text)
        if type(text) ~= "string" then
            return slow(text)
        end
        C.resolua_ffi_sha1(text, #text, buffer)
        return ffi_string(buffer, SHA1_SIZE)
    end
end

local function crc32_by(slow, is_long)
    return function(text)
        if type(text) ~= "string" then
            return slow(text)
        end
        return C.resolua_ffi_crc32(text, #text, is_long)
    end
end

local function encode_base64_by(slow)
    return function(text, no_padding)
        if type(text) ~= "string" or no_padding and no_padding ~= true then
            return slow(text, no_padding)
        end
        local out = reserve(floor((#text + 2) / 3) * 4)
        local size = C.resolua_ffi_encode_base64(text, #text,
            no_padding and 1 or 0, out)
        return ffi_string(out, size)
    end
end

local function decode_base64_by(slow)
    return function(text)
        if type(text) ~= "string" then
            return slow(text)
        end
        local out = reserve(#text + 4)
        local size = C.resolua_ffi_decode_base64(text, #text, out)
        if size < 0 then
            return nil
        end
        return ffi_string(out, size)
    end
end

local function escape_uri_by(slow)
    return function(text, kind)
        kind = kind or ESCAPE_ALL
        if type(text) ~= "string" or kind ~= ESCAPE_ALL and kind ~= 0 then
            return slow(text, kind)
        end
        local out = reserve(#text * 3)
        return ffi_string(out, C.resolua_ffi_escape_uri(text, #text, kind, out))
    end
end

local function unescape_uri_by(slow)
    return function(text)
        if type(text) ~= "string" then
            return slow(text)
        end
        local out = reserve(#text)
        return ffi_string(out, C.resolua_ffi_unescape_uri(text, #text, out))
    end
end

local texts = {}

function texts.install(ngx)
    ngx.md5 = md5_by(ngx.md5, 1, MD5_HEX_SIZE)
    ngx.md5_bin = md5_by(ngx.md5_bin, 0, MD5_SIZE)
    ngx.sha1_bin = sha1_by(ngx.sha1_bin)
    ngx.crc32_short = crc32_by(ngx.crc32_short, 0)
    ngx.crc32_long = crc32_by(ngx.crc32_long, 1)
    ngx.encode_base64 = encode_base64_by(ngx.encode_base64)
    ngx.decode_base64 = decode_base64_by(ngx.decode_base64)
    ngx.escape_uri = escape_uri_by(ngx.escape_uri)
    ngx.unescape_uri = unescape_uri_by(ngx.unescape_uri)
end

return texts
