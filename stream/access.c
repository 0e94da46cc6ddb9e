#include "stream/access.h"

#include "stream/stock.h"

/* The module's own structures, which it does not show. */
typedef struct {
    ngx_array_t *v4; /* NULL: none */
    ngx_array_t *v6;
    ngx_array_t *local;
} lists_t;

typedef struct {
    in_addr_t mask;
    in_addr_t address;
    ngx_uint_t is_deny;
} rule_v4_t;

typedef struct {
    struct in6_addr address;
    struct in6_addr mask;
    ngx_uint_t is_deny;
} rule_v6_t;


const void *
stream_access_rules(const ngx_conf_t *cf, const ngx_stream_conf_ctx_t *ctx)
{
    const lists_t *lists =
        stream_stock_conf(cf, ctx, "ngx_stream_access_module");
    return lists != NULL && (lists->v4 != NULL || lists->v6 != NULL ||
                             lists->local != NULL)
               ? lists
               : NULL;
}


static ngx_uint_t
allows_v4(const ngx_array_t *list, in_addr_t address)
{
    const rule_v4_t *rule = list != NULL ? list->elts : NULL;
    for (ngx_uint_t i = 0; list != NULL && i < list->nelts; i++) {
        if ((address & rule[i].mask) == rule[i].address) {
            return !rule[i].is_deny;
        }
    }
    return 1;
}


static ngx_uint_t
is_within(const struct in6_addr *address, const rule_v6_t *rule)
{
    for (ngx_uint_t n = 0; n < sizeof(address->s6_addr); n++) {
        if ((address->s6_addr[n] & rule->mask.s6_addr[n]) !=
            rule->address.s6_addr[n]) {
            return 0;
        }
    }
    return 1;
}


static ngx_uint_t
allows_v6(const lists_t *lists, const struct in6_addr *address)
{
    const ngx_array_t *list = lists->v6;
    const rule_v6_t *rule = list != NULL ? list->elts : NULL;
    in_addr_t v4;
    if (lists->v4 != NULL && IN6_IS_ADDR_V4MAPPED(address)) {
        ngx_memcpy(&v4, address->s6_addr + 12, sizeof(v4));
        return allows_v4(lists->v4, v4);
    }
    for (ngx_uint_t i = 0; list != NULL && i < list->nelts; i++) {
        if (is_within(address, &rule[i])) {
            return !rule[i].is_deny;
        }
    }
    return 1;
}


ngx_uint_t
stream_access_allows(const void *rules, const struct sockaddr *client)
{
    const lists_t *lists = rules;
    return client->sa_family == AF_INET6
               ? allows_v6(lists,
                           &((const struct sockaddr_in6 *) client)->sin6_addr)
               : allows_v4(
                     lists->v4,
                     ((const struct sockaddr_in *) client)->sin_addr.s_addr);
}
