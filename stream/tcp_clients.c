#include "stream/tcp_clients.h"

#include "dns/siphash.h"

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


tcp_client_t *
tcp_clients_add(const struct sockaddr *address, ngx_int_t max_in_all,
                ngx_int_t max_per_client, ngx_log_t *log)
{
    uint8_t key[KEY_SIZE];
    make_key(key, address);
    tcp_client_t **link = find(key);
    if ((max_in_all > 0 && in_all >= max_in_all) ||
        (max_per_client > 0 && *link != NULL &&
         (*link)->count >= max_per_client)) {
        return NULL;
    }
    if (*link == NULL) {
        *link = ngx_calloc(sizeof(**link), log);
        if (*link == NULL) {
            return NULL;
        }
        ngx_memcpy((*link)->key, key, KEY_SIZE);
    }
    (*link)->count++;
    in_all++;
    return *link;
}


void
tcp_clients_remove(tcp_client_t *client)
{
    in_all--;
    if (--client->count == 0) {
        *find(client->key) = client->next;
        ngx_free(client);
    }
}
