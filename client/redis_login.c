#include "client/redis_login.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
put(redis_client_t *r, const char *format, ...)
{
    char *command = NULL;
    va_list arguments;

    va_start(arguments, format);

    const int size = redisvFormatCommand(&command, format, arguments);

    va_end(arguments);
    return redis_client_put_command(r, command, size);
}

static bool
begin_question(redis_client_t *r)
{
    const redis_client_settings_t *s = &r->settings;

    return (s->sentinel_password == NULL ||
            put(r, "AUTH %s", s->sentinel_password)) &&
           put(r, "SENTINEL get-master-addr-by-name %s", s->sentinel);
}

static bool
put_password(redis_client_t *r)
{
    const redis_client_settings_t *s = &r->settings;

    return s->password == NULL ||
           (s->user == NULL ? put(r, "AUTH %s", s->password)
                            : put(r, "AUTH %s %s", s->user, s->password));
}

/* Ends with something that is replied to whatever the settings are: ROLE tells
   whether a server behind sentinels still is the master. */
static bool
begin_login(redis_client_t *r)
{
    const redis_client_settings_t *s = &r->settings;

    return put_password(r) &&
           (s->database == 0 || put(r, "SELECT %u", s->database)) &&
           (!s->reads_replicas || put(r, "READONLY")) &&
           put(r, s->sentinel != NULL ? "ROLE" : "PING");
}

bool
redis_login_begin(redis_client_t *r)
{
    return r->state == REDIS_ASKING_SENTINEL ? begin_question(r)
                                             : begin_login(r);
}

/* Gives false. */
static bool
refuse(redis_client_t *r, const char *error)
{
    snprintf(r->error, sizeof(r->error), "%s", error);
    return false;
}

static bool
is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING;
}

/* Only ROLE has an array as its reply. */
static bool
check_role(redis_client_t *r, const redisReply *reply)
{
    const bool is_role = reply->type == REDIS_REPLY_ARRAY;

    return !is_role || (reply->elements > 0 && is_text(reply->element[0]) &&
                        strcmp(reply->element[0]->str, "master") == 0)
               ? true
               : refuse(r, "it is not the master");
}

static bool
take_master(redis_client_t *r, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_STATUS) { /* to AUTH */
        return true;
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !is_text(reply->element[0]) || !is_text(reply->element[1])) {
        return refuse(r, "the sentinel knows no such master");
    }

    const redisReply *host = reply->element[0];
    const long port = strtol(reply->element[1]->str, NULL, 10);

    if (port < 1 || port > UINT16_MAX || host->len == 0 ||
        host->len >= sizeof(r->master)) {
        return refuse(r, "the sentinel gives no address");
    }

    strcpy(r->master, host->str);
    r->master_port = (uint16_t) port;
    return true;
}

bool
redis_login_take(redis_client_t *r, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        return refuse(r, reply->str);
    }

    return r->state == REDIS_ASKING_SENTINEL ? take_master(r, reply)
                                             : check_role(r, reply);
}
