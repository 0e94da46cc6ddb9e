#ifndef STORE_REDIS_CLUSTER_H
#define STORE_REDIS_CLUSTER_H

/* Who has what in a cluster, as CLUSTER SLOTS tells it. */

#include <hiredis.h>
#include <stdbool.h>
#include <stdint.h>

/* A range of slots at one node that has them. */
typedef struct {
    long long first;
    long long last;
    bool is_master;
    const char *address; /* borrowed; "": the node that was asked */
    uint16_t port;
} redis_slots_t;

/* Calls visit() with each range at each node, the master of a range first,
   until it gives false.  What is no range or no node is passed over. */
void redis_each_slots(const redisReply *reply,
                      bool (*visit)(void *data, const redis_slots_t *slots),
                      void *data);

#endif
