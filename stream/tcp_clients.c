#include "stream/tcp_clients.h"

#include "dns/siphash.h"
#include "stream/accept.h"

enum {
    BUCKETS = 1024,
    KEY_SIZE = 9, /* octets: the family, then 4 or 8 of the address */
};

struct tcp_client_s {
    tcp_client_t *next;
    uint8_t key[KEY_SIZE];
    ngx_int_t count;
};

static tcp_client_t *buckets[BUCKETS];
static ngx_int_t in_all;
static ngx_queue_t by_use; /* tcp_place_t; the longest idle is the head */


static void
make_key(uint8_t *key, const struct sockaddr *address)
{
    ngx_memzero(key, KEY_SIZE);
    key[0] = (uint8_t) address->sa_family;
    if (address->sa_family == AF_INET6) {
        ngx_memcpy(key + 1, &((const struct sockaddr_in6 *) address)->sin6_addr,
                   8);
    } else if (address->sa_family == AF_INET) {
        ngx_memcpy(key + 1, &((const struct sockaddr_in *) address)->sin_addr,
                   4);
    }
}


/* Keyed: clients pick their addresses. */
static tcp_client_t **
bucket_of(const uint8_t *key)
{
    static uint8_t secret[DNS_SIPHASH_KEY_SIZE];
    static ngx_uint_t is_set;
    if (!is_set) {
        for (ngx_uint_t i = 0; i < sizeof(secret); i++) {
            secret[i] = (uint8_t) ngx_random();
        }
        is_set = 1;
    }
    return &buckets[dns_siphash(secret, key, KEY_SIZE) % BUCKETS];
}


static tcp_client_t **
find(const uint8_t *key)
{
    tcp_client_t **link = bucket_of(key);
    while (*link != NULL && ngx_memcmp((*link)->key, key, KEY_SIZE) != 0) {
        link = &(*link)->next;
    }
    return link;
}


ngx_uint_t
tcp_clients_count(void)
{
    return (ngx_uint_t) in_all;
}


ngx_uint_t
tcp_clients_close_idlest(void)
{
    for (ngx_queue_t *q = in_all > 0 ? ngx_queue_head(&by_use) : &by_use;
         q != &by_use; q = ngx_queue_next(q)) {
        tcp_place_t *place = ngx_queue_data(q, tcp_place_t, queue);
        if (place->close(place)) {
            return 1;
        }
    }
    return 0;
}


/* All places are taken: the longest idle connection gives way. */
static ngx_uint_t
make_place(ngx_int_t max)
{
    static time_t logged_at;
    const ngx_uint_t is_made = tcp_clients_close_idlest();
    if (accept_may_log(&logged_at)) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "%i DNS connections are open in this worker, as many as "
                      "dns_tcp_max_connections and half of worker_connections "
                      "allow: %s",
                      max,
                      is_made ? "those that have been idle longest are closed "
                                "for new ones"
                              : "new ones are refused, for none is idle");
    }
    return is_made;
}


static ngx_int_t
max_in_all(const tcp_limits_t *limits)
{
    const ngx_int_t half = (ngx_int_t) (ngx_cycle->connection_n / 2);
    return limits->in_all > 0 ? ngx_min(limits->in_all, half) : half;
}


static ngx_uint_t
is_over(ngx_int_t count, ngx_int_t max)
{
    return max > 0 && count >= max;
}


ngx_int_t
tcp_clients_enter(tcp_place_t *place, const struct sockaddr *address,
                  const tcp_limits_t *limits, ngx_log_t *log)
{
    uint8_t key[KEY_SIZE];
    const ngx_int_t max = max_in_all(limits);
    make_key(key, address);
    tcp_client_t **link = find(key);
    if (*link != NULL && is_over((*link)->count, limits->per_client)) {
        return NGX_DECLINED;
    }
    if (is_over(in_all, max)) {
        if (!make_place(max)) {
            return NGX_DECLINED;
        }
        link = find(key); /* the one that left may have been its client's */
    }
    if (*link == NULL) {
        *link = ngx_calloc(sizeof(**link), log);
        if (*link == NULL) {
            return NGX_ERROR;
        }
        ngx_memcpy((*link)->key, key, KEY_SIZE);
    }
    if (in_all == 0) {
        ngx_queue_init(&by_use);
    }
    (*link)->count++;
    in_all++;
    place->client = *link;
    place->used_at = ngx_current_msec;
    ngx_queue_insert_tail(&by_use, &place->queue);
    return NGX_OK;
}


void
tcp_clients_use(tcp_place_t *place)
{
    place->used_at = ngx_current_msec;
    ngx_queue_remove(&place->queue);
    ngx_queue_insert_tail(&by_use, &place->queue);
}


void
tcp_clients_leave(tcp_place_t *place)
{
    tcp_client_t *client = place->client;
    if (client == NULL) {
        return;
    }
    place->client = NULL;
    ngx_queue_remove(&place->queue);
    in_all--;
    if (--client->count == 0) {
        *find(client->key) = client->next;
        ngx_free(client);
    }
}
