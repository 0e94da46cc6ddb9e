#include "store/redis/cluster.h"

static bool
is_integer(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_INTEGER;
}

/* Address and port; what follows them is not asked for. */
static bool
read_node(const redisReply *reply, redis_slots_t *slots)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 ||
        !is_integer(reply->element[1])) {
        return false;
    }

    const redisReply *address = reply->element[0];

    slots->address = address->type == REDIS_REPLY_STRING ? address->str : "";
    slots->port = (uint16_t) reply->element[1]->integer;
    return true;
}

/* First slot, last slot, the master, its replicas.  false: visit() has had
   enough. */
static bool
visit_range(const redisReply *range,
            bool (*visit)(void *data, const redis_slots_t *slots), void *data)
{
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3 ||
        !is_integer(range->element[0]) || !is_integer(range->element[1])) {
        return true;
    }

    redis_slots_t slots = {
        .first = range->element[0]->integer,
        .last = range->element[1]->integer,
    };

    for (size_t i = 2; i < range->elements; i++) {
        slots.is_master = i == 2;

        if (read_node(range->element[i], &slots) && !visit(data, &slots)) {
            return false;
        }
    }

    return true;
}

void
redis_each_slots(const redisReply *reply,
                 bool (*visit)(void *data, const redis_slots_t *slots),
                 void *data)
{
    size_t i = 0;

    while (i < reply->elements && visit_range(reply->element[i], visit, data)) {
        i++;
    }
}
