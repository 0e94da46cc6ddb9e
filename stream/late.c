#include "stream/late.h"

#include <ngx_event.h>

#include "server/statistics.h"
#include "stream/datagram.h"

/* A client that waits; recycled. */
typedef struct late_s late_t;
struct late_s {
    late_t *next;
    lane_t *lane;
    ngx_sockaddr_t client;
    ngx_sockaddr_t local; /* where it asked, if the listener is a wildcard */
    socklen_t client_size;
    unsigned is_holder : 1;
};

enum { FREE_MAX = 1024 };

static late_t *free_lates;
static ngx_uint_t free_count;
static ngx_uint_t waiting; /* bounded as connections are */
static ngx_event_t flush;


static late_t *
take(void)
{
    late_t *late = free_lates;
    if (waiting >= ngx_cycle->connection_n) {
        return NULL;
    }
    if (late != NULL) {
        free_lates = late->next;
        free_count--;
    } else {
        late = ngx_alloc(sizeof(*late), ngx_cycle->log);
    }
    if (late != NULL) {
        waiting++;
    }
    return late;
}


static void
give_back(late_t *late)
{
    waiting--;
    if (free_count < FREE_MAX) {
        late->next = free_lates;
        free_lates = late;
        free_count++;
    } else {
        ngx_free(late);
    }
}


void
late_flush(void)
{
    datagram_late_send(ngx_cycle->log);
    dns_statistics_flush();
}


static void
on_flush(ngx_event_t *ev)
{
    (void) ev;
    late_flush();
}


static void
answered(void *data, const uint8_t *answer, size_t size)
{
    late_t *late = data;
    lane_t *lane = late->lane;
    if (size > 0 && size <= DATAGRAM_REPLY_MAX) {
        const datagram_address_t to = {
            .fd = lane->holders > 0 ? lane->held_fd
                                    : lane->listening->connection->fd,
            .client = &late->client.sockaddr,
            .client_size = late->client_size,
            .local = lane->listening->wildcard ? &late->local.sockaddr : NULL,
        };
        datagram_late_put(&to, answer, size, ngx_cycle->log);
        if (!flush.posted) {
            flush.handler = on_flush;
            flush.log = ngx_cycle->log;
            ngx_post_event(&flush, &ngx_posted_events);
        }
    }
    if (late->is_holder) {
        lane_release(lane);
    }
    give_back(late);
}


static void
set_addresses(late_t *late, unsigned number)
{
    const ngx_listening_t *ls = late->lane->listening;
    datagram_t d;
    datagram_get(number, &d);
    ngx_memcpy(&late->client, d.client, d.client_size);
    late->client_size = d.client_size;
    if (ls->wildcard) {
        ngx_memcpy(&late->local, ls->sockaddr, ls->socklen);
        datagram_local(number, &late->local.sockaddr);
    }
}


void
late_begin(lane_t *lane, unsigned number, dns_server_pending_t *pending)
{
    late_t *late = take();
    if (late == NULL) {
        dns_counts[DNS_COUNT_DROPPED]++;
        dns_server_cancel(pending);
        return;
    }
    late->lane = lane;
    late->is_holder = 1;
    set_addresses(late, number);
    lane_hold(lane);
    dns_counts[DNS_COUNT_SESSIONS]++;
    dns_server_wait(pending, answered, late);
}
