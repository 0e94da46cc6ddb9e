/* resolua.redis, what lua/resty/redis.lua is made of: commands and replies of
   Redis over a cosocket.  hiredis parses; commands are simple enough to be
   written where they are sent from.

       format(name, ...)           the octets of a command
       call(socket, name, ...)     sends a command and reads the reply
       send(socket, name, ...)     the size, or nil and why not
       read(socket)                a reply; false, text: an error reply; nil
                                   and why none came
       read(socket, n)             an array of n replies
       read(socket, 0, true)       as read(socket), but a failure leaves the
                                   connection open

   In an array an error reply is {false, text}; nil is ngx.null.  The last word
   of a command may be an array of strings: that many words. */

#include <hiredis/read.h>

#include "runtime/private/api.h"
#include "runtime/private/tcp.h"
#include "runtime/vm.h"

enum {
    DEPTH_MAX = 9, /* arrays in arrays: hiredis's own bound */
    REPLIES_SLOT = DEPTH_MAX + 1,
    PREPARED_MAX = 1024,    /* elements that an array has room for at once */
    REPLY_MAX = 1 << 30,    /* octets of what one read() gives */
    REPLIES_MAX = 10000000, /* that one read() is asked for */
    ARGUMENTS_FEW = 16,     /* more of them go to the heap */
    PARSERS_KEPT_MAX = 64,
    COUNT_SIZE = NGX_INT64_LEN + 3, /* "$", a number and CRLF */
    CRLF_SIZE = 2,
    BULK_DIGITS_MAX = 10, /* of a length that is looked at here */
    SCRATCH_SIZE = 4096,  /* for commands that are not long */
};

/* hiredis calls back for each value; the values that are not whole yet stand on
   a Lua stack of the parser's own: slot 1 the reply, slot 2 the array in it
   that is being filled, and so on. */
typedef struct redis_parser_s redis_parser_t;
struct redis_parser_s {
    tcp_parser_t base;
    redisReader *reader; /* owned */
    lua_State *values;
    int ref;     /* keeps values */
    int wanted;  /* replies; 0: one, as it is */
    int count;   /* replies that have come */
    size_t size; /* octets that have come */
    unsigned is_error : 1;
    redis_parser_t *next; /* in the list of those kept */
};

static u_char scratch[SCRATCH_SIZE];
static redis_parser_t *kept;
static ngx_uint_t kept_count;
static const lua_State *kept_vm; /* whose they are */


static int
slot_of(const redisReadTask *task)
{
    int slot = 1;
    while (task->parent != NULL) {
        task = task->parent;
        slot++;
    }
    return slot;
}


/* The value on top becomes the reply, or an element of the array it is in. */
static void *
put(const redisReadTask *task)
{
    redis_parser_t *parser = task->privdata;
    lua_State *L = parser->values;
    if (task->parent == NULL) {
        lua_replace(L, 1);
    } else {
        lua_rawseti(L, slot_of(task) - 1, task->idx + 1);
    }
    return parser; /* any pointer but NULL */
}


static void *
create_string(const redisReadTask *task, char *text, size_t size)
{
    redis_parser_t *parser = task->privdata;
    lua_State *L = parser->values;
    if (task->type != REDIS_REPLY_ERROR) {
        lua_pushlstring(L, text, size);
        return put(task);
    }
    if (task->parent == NULL && parser->wanted == 0) {
        parser->is_error = 1;
        lua_pushlstring(L, text, size);
        return put(task);
    }
    lua_createtable(L, 2, 0);
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, 1);
    lua_pushlstring(L, text, size);
    lua_rawseti(L, -2, 2);
    return put(task);
}


static void *
create_array(const redisReadTask *task, int elements)
{
    redis_parser_t *parser = task->privdata;
    lua_State *L = parser->values;
    lua_createtable(L, ngx_min(elements, PREPARED_MAX), 0);
    if (task->parent != NULL) {
        lua_pushvalue(L, -1);
        lua_rawseti(L, slot_of(task) - 1, task->idx + 1);
    }
    lua_replace(L, slot_of(task));
    return parser;
}


static void *
create_integer(const redisReadTask *task, long long value)
{
    const redis_parser_t *parser = task->privdata;
    lua_pushnumber(parser->values, (lua_Number) value);
    return put(task);
}


static void *
create_nil(const redisReadTask *task)
{
    const redis_parser_t *parser = task->privdata;
    lua_pushlightuserdata(parser->values, NULL); /* ngx.null */
    return put(task);
}


static void
free_object(void *object)
{
    (void) object; /* Lua's own */
}


static redisReplyObjectFunctions functions = {
    create_string, create_array, create_integer, create_nil, free_object,
};


static ngx_int_t
fail(redis_parser_t *parser, const char *error)
{
    parser->base.error = error;
    return NGX_ERROR;
}


/* A reply is whole: it stands in slot 1. */
static void
count_reply(redis_parser_t *parser)
{
    parser->count++;
    if (parser->wanted > 0) {
        lua_pushvalue(parser->values, 1);
        lua_rawseti(parser->values, REPLIES_SLOT, parser->count);
    }
}


/* A bulk reply that stands whole in octets, as most do: hiredis would copy it
   twice.  Its size; 0: hiredis is to look at it. */
static size_t
take_bulk(redis_parser_t *parser, const u_char *octets, size_t size)
{
    const u_char *end = octets + ngx_min(size, BULK_DIGITS_MAX + 1);
    const u_char *at = octets + 1;
    size_t length = 0;
    while (at < end && *at >= '0' && *at <= '9') {
        length = length * 10 + (size_t) (*at++ - '0');
    }
    const size_t head = (size_t) (at - octets) + CRLF_SIZE;
    if (octets[0] != '$' || at == octets + 1 || size < head + CRLF_SIZE ||
        length > size - head - CRLF_SIZE || at[0] != CR || at[1] != LF) {
        return 0;
    }
    lua_pushlstring(parser->values, (const char *) octets + head, length);
    lua_replace(parser->values, 1);
    return head + length + CRLF_SIZE;
}


static ngx_int_t
feed(tcp_parser_t *base, const u_char *octets, size_t size, size_t *used)
{
    redis_parser_t *parser = (redis_parser_t *) base;
    redisReader *reader = parser->reader;
    if (parser->size == 0 && parser->wanted == 0) {
        *used = take_bulk(parser, octets, size);
        if (*used > 0) {
            return NGX_OK;
        }
    }
    *used = size;
    parser->size += size;
    if (parser->size > REPLY_MAX) {
        return fail(parser, "reply too long");
    }
    if (redisReaderFeed(reader, (const char *) octets, size) != REDIS_OK) {
        return fail(parser, reader->errstr);
    }
    do {
        void *reply = NULL;
        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            return fail(parser, reader->errstr);
        }
        if (reply == NULL) {
            return NGX_AGAIN;
        }
        count_reply(parser);
    } while (parser->count < parser->wanted);
    *used = size - (reader->len - reader->pos); /* the next reply's */
    return NGX_OK;
}


static int
push(tcp_parser_t *base, lua_State *L)
{
    redis_parser_t *parser = (redis_parser_t *) base;
    lua_State *values = parser->values;
    if (parser->is_error) {
        lua_pushboolean(L, 0);
    }
    lua_pushvalue(values, parser->wanted > 0 ? REPLIES_SLOT : 1);
    lua_xmove(values, L, 1);
    return parser->is_error ? 2 : 1;
}


static void
destroy(redis_parser_t *parser)
{
    if (parser->reader != NULL) {
        redisReaderFree(parser->reader);
    }
    ngx_free(parser);
}


/* Those of an older VM lose their stacks with it. */
static void
forget_older(void)
{
    if (kept_vm == resolua_vm) {
        return;
    }
    while (kept != NULL) {
        redis_parser_t *parser = kept;
        kept = parser->next;
        destroy(parser);
    }
    kept_count = 0;
    kept_vm = resolua_vm;
}


/* A parser that is in no reply's middle is kept for the next. */
static void
let_go(tcp_parser_t *base)
{
    redis_parser_t *parser = (redis_parser_t *) base;
    const redisReader *reader = parser->reader;
    forget_older();
    lua_settop(parser->values, 0);
    if (kept_count < PARSERS_KEPT_MAX && reader->err == 0 &&
        reader->ridx == -1 && reader->len == reader->pos) {
        parser->next = kept;
        kept = parser;
        kept_count++;
        return;
    }
    luaL_unref(parser->values, LUA_REGISTRYINDEX, parser->ref);
    destroy(parser);
}


static redis_parser_t *
parser_new(lua_State *L)
{
    redis_parser_t *parser = ngx_calloc(sizeof(*parser), ngx_cycle->log);
    if (parser == NULL) {
        return NULL;
    }
    parser->base.feed = feed;
    parser->base.push = push;
    parser->base.free = let_go;
    parser->reader = redisReaderCreateWithFunctions(&functions);
    if (parser->reader == NULL) {
        destroy(parser);
        return NULL;
    }
    parser->reader->privdata = parser;
    parser->values = lua_newthread(L);
    parser->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return parser;
}


static redis_parser_t *
take_parser(lua_State *L, int wanted, int is_final)
{
    forget_older();
    redis_parser_t *parser = kept;
    if (parser != NULL) {
        kept = parser->next;
        kept_count--;
    } else {
        parser = parser_new(L);
    }
    if (parser == NULL) {
        return NULL;
    }
    parser->base.is_final = is_final ? 1 : 0;
    parser->wanted = wanted;
    parser->count = 0;
    parser->size = 0;
    parser->is_error = 0;
    lua_settop(parser->values, REPLIES_SLOT);
    if (wanted > 0) {
        lua_createtable(parser->values, ngx_min(wanted, PREPARED_MAX), 0);
        lua_replace(parser->values, REPLIES_SLOT);
    }
    return parser;
}


/* read(socket, n?, stays?) */
static int
redis_read(lua_State *L)
{
    int count = 0;
    const lua_Integer wanted = luaL_optinteger(L, 2, 0);
    luaL_argcheck(L, wanted >= 0 && wanted <= REPLIES_MAX, 2, "bad count");
    tcp_t *tcp = tcp_check_readable(L, &count);
    if (tcp == NULL) {
        return count;
    }
    if (tcp->parser == NULL) { /* else it goes on after a timeout */
        redis_parser_t *parser =
            take_parser(L, (int) wanted, !lua_toboolean(L, 3));
        if (parser == NULL) {
            return resolua_fail(L, "no memory");
        }
        tcp->parser = &parser->base;
    }
    return tcp_read(L, tcp);
}


/* The argument as octets; what is neither string nor number, as tostring() has
   it, takes its place. */
static const char *
get_argument(lua_State *L, int arg, size_t *size)
{
    if (!lua_isstring(L, arg)) {
        lua_getglobal(L, "tostring");
        lua_pushvalue(L, arg);
        lua_call(L, 1, 1);
        lua_replace(L, arg);
    }
    return lua_tolstring(L, arg, size);
}


/* The words of a command. */
typedef struct {
    const char *few_texts[ARGUMENTS_FEW];
    size_t few_sizes[ARGUMENTS_FEW];
    const char **texts;
    size_t *sizes;
    int count;
} words_t;


/* Room for so many; more than a few in a userdata, which is left on the
   stack. */
static void
make_room(lua_State *L, words_t *words, size_t count)
{
    words->texts = words->few_texts;
    words->sizes = words->few_sizes;
    words->count = 0;
    if (count > ARGUMENTS_FEW) {
        words->texts = lua_newuserdata(
            L, count * (sizeof(*words->texts) + sizeof(*words->sizes)));
        words->sizes = (size_t *) (words->texts + count);
    }
}


/* The strings of the array at index. */
static void
add_array(lua_State *L, int index, words_t *words, size_t count)
{
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, index, (int) i);
        if (lua_type(L, -1) != LUA_TSTRING) {
            luaL_error(L, "an array of strings expected");
        }
        words->texts[words->count] =
            lua_tolstring(L, -1, &words->sizes[words->count]);
        words->count++;
        lua_pop(L, 1); /* the array keeps it */
    }
}


/* The words in the arguments from first on; the last may be an array of
   strings. */
static void
get_words(lua_State *L, int first, words_t *words)
{
    const int last = lua_gettop(L);
    const size_t more = lua_istable(L, last) ? lua_objlen(L, last) : 0;
    const int plain = lua_istable(L, last) ? last - 1 : last;
    (void) luaL_checkstring(L, first);
    luaL_argcheck(L, more < REPLIES_MAX, last, "too many");
    make_room(L, words, (size_t) (plain - first + 1) + more);
    for (int arg = first; arg <= plain; arg++) {
        words->texts[words->count] =
            get_argument(L, arg, &words->sizes[words->count]);
        words->count++;
    }
    add_array(L, last, words, more);
}


/* Octets that the command takes at most. */
static size_t
command_size_max(const words_t *words)
{
    size_t size = COUNT_SIZE;
    for (int i = 0; i < words->count; i++) {
        size += COUNT_SIZE + words->sizes[i] + CRLF_SIZE;
    }
    return size;
}


/* "*3\r\n" */
static u_char *
put_count(u_char *to, u_char kind, size_t count)
{
    u_char digits[NGX_INT64_LEN];
    u_char *digit = digits + sizeof(digits);
    do {
        *--digit = (u_char) ('0' + count % 10);
        count /= 10;
    } while (count > 0);
    *to++ = kind;
    to = ngx_cpymem(to, digit, (size_t) (digits + sizeof(digits) - digit));
    *to++ = CR;
    *to++ = LF;
    return to;
}


/* An array of bulk strings.  Gives its end. */
static u_char *
put_command(u_char *to, const words_t *words)
{
    to = put_count(to, '*', (size_t) words->count);
    for (int i = 0; i < words->count; i++) {
        to = put_count(to, '$', words->sizes[i]);
        to = ngx_cpymem(to, words->texts[i], words->sizes[i]);
        *to++ = CR;
        *to++ = LF;
    }
    return to;
}


/* Room for so many octets; scratch where that is enough. */
static u_char *
command_room(lua_State *L, size_t size)
{
    u_char *room =
        size <= sizeof(scratch) ? scratch : ngx_alloc(size, ngx_cycle->log);
    if (room == NULL) {
        luaL_error(L, "no memory");
    }
    return room;
}


/* send(socket, name, ...) */
static int
redis_send(lua_State *L)
{
    words_t words;
    int count = 0;
    tcp_t *tcp = tcp_check_writable(L, &count);
    if (tcp == NULL) {
        return count;
    }
    get_words(L, 2, &words);
    u_char *room = command_room(L, command_size_max(&words));
    const size_t size = (size_t) (put_command(room, &words) - room);
    return room == scratch ? tcp_write_borrowed(L, tcp, room, size)
                           : tcp_write(L, tcp, room, size);
}


/* call(socket, name, ...) */
static int
redis_call(lua_State *L)
{
    words_t words;
    int count = 0;
    tcp_t *tcp = tcp_check_readable(L, &count);
    if (tcp == NULL) {
        return count;
    }
    if (tcp->writing != NULL) {
        return resolua_fail(L, tcp_busy(tcp));
    }
    get_words(L, 2, &words);
    u_char *room = command_room(L, command_size_max(&words));
    const size_t size = (size_t) (put_command(room, &words) - room);
    const u_char *command = room;
    if (room != scratch) { /* Lua's, as the exchange may leave by a yield */
        lua_pushlstring(L, (char *) room, size);
        ngx_free(room);
        command = (const u_char *) lua_tostring(L, -1);
    }
    redis_parser_t *parser = take_parser(L, 0, 1);
    return parser != NULL ? tcp_exchange(L, tcp, command, size, &parser->base)
                          : resolua_fail(L, "no memory");
}


/* format(name, ...) */
static int
redis_format(lua_State *L)
{
    words_t words;
    get_words(L, 1, &words);
    u_char *room = command_room(L, command_size_max(&words));
    const u_char *end = put_command(room, &words);
    lua_pushlstring(L, (char *) room, (size_t) (end - room));
    if (room != scratch) {
        ngx_free(room);
    }
    return 1;
}


static int
open_module(lua_State *L)
{
    static const luaL_Reg module_functions[] = {
        {"format", redis_format}, {"call", redis_call}, {"send", redis_send},
        {"read", redis_read},     {NULL, NULL},
    };
    lua_newtable(L);
    luaL_register(L, NULL, module_functions);
    return 1;
}


void
resolua_redis_setup(lua_State *L)
{
    resolua_vm_preload(L, "resolua.redis", open_module);
}
