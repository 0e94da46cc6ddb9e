#include "runtime/private/peer.h"

#include <ngx_inet.h>


void
resolua_peer_errno(resolua_peer_t *peer, ngx_err_t err)
{
    u_char text[RESOLUA_PEER_ERROR_SIZE];
    u_char *end = ngx_strerror(err, text, sizeof(text) - 1);
    ngx_strlow((u_char *) peer->error, text, (size_t) (end - text));
    peer->error[end - text] = '\0';
}


/* nginx would write an alert for each that it has no connection for. */
static ngx_uint_t
has_connection(void)
{
    return ngx_cycle->free_connection_n > 0 ||
           ngx_cycle->reusable_connections_n > 0;
}


ngx_int_t
resolua_peer_connect(resolua_peer_t *peer, ngx_peer_connection_t *pc)
{
    static const char exhausted[] = "no free connection";
    if (!has_connection()) {
        ngx_memcpy(peer->error, exhausted, sizeof(exhausted));
        return NGX_ERROR;
    }
    ngx_set_socket_errno(0);
    const ngx_int_t rc = ngx_event_connect_peer(pc);
    if (rc == NGX_OK || rc == NGX_AGAIN) {
        return rc;
    }
    if (ngx_socket_errno != 0) {
        resolua_peer_errno(peer, ngx_socket_errno);
    } else {
        ngx_memcpy(peer->error, exhausted, sizeof(exhausted));
    }
    if (pc->connection != NULL) {
        ngx_close_connection(pc->connection);
        pc->connection = NULL;
    }
    return NGX_ERROR;
}


static ngx_int_t
fail(resolua_peer_t *peer, const char *format, const ngx_str_t *host)
{
    u_char *end = ngx_snprintf((u_char *) peer->error, sizeof(peer->error) - 1,
                               format, host);
    *end = '\0';
    return NGX_ERROR;
}


static ngx_int_t
set_unix(resolua_peer_t *peer, const ngx_str_t *path)
{
    struct sockaddr_un *un = &peer->address.sockaddr_un;
    ngx_memzero(un, sizeof(*un));
    if (path->len == 0 || path->len >= sizeof(un->sun_path)) {
        return fail(peer, "bad Unix socket path \"%V\"", path);
    }
    un->sun_family = AF_UNIX;
    ngx_memcpy(un->sun_path, path->data, path->len);
    peer->address_size = sizeof(*un);
    return NGX_OK;
}


static ngx_int_t
set_number(resolua_peer_t *peer, const ngx_str_t *host)
{
    const size_t brackets = host->len > 2 && host->data[0] == '[' &&
                            host->data[host->len - 1] == ']';
    u_char *text = host->data + brackets;
    const size_t size = host->len - 2 * brackets;
    const in_addr_t inaddr = ngx_inet_addr(text, size);
    ngx_memzero(&peer->address, sizeof(peer->address));
    if (inaddr != INADDR_NONE ||
        (size == 15 && ngx_strncmp(text, "255.255.255.255", 15) == 0)) {
        peer->address.sockaddr_in.sin_family = AF_INET;
        peer->address.sockaddr_in.sin_addr.s_addr = inaddr;
        peer->address_size = sizeof(struct sockaddr_in);
    } else if (ngx_inet6_addr(text, size,
                              peer->address.sockaddr_in6.sin6_addr.s6_addr) ==
               NGX_OK) {
        peer->address.sockaddr_in6.sin6_family = AF_INET6;
        peer->address_size = sizeof(struct sockaddr_in6);
    } else {
        return NGX_DECLINED;
    }
    ngx_inet_set_port(&peer->address.sockaddr, peer->port);
    return NGX_OK;
}


/* One of the name's addresses. */
static void
take_address(resolua_peer_t *peer, const ngx_resolver_ctx_t *lookup)
{
    const ngx_uint_t chosen = (ngx_uint_t) ngx_random() % lookup->naddrs;
    const ngx_resolver_addr_t *found = &lookup->addrs[chosen];
    ngx_memcpy(&peer->address, found->sockaddr, found->socklen);
    peer->address_size = found->socklen;
    ngx_inet_set_port(&peer->address.sockaddr, peer->port);
}


static void
on_lookup(ngx_resolver_ctx_t *lookup)
{
    resolua_peer_t *peer = lookup->data;
    peer->lookup = NULL;
    if (lookup->state == NGX_OK && lookup->naddrs > 0) {
        take_address(peer, lookup);
        peer->result = NGX_OK;
    } else {
        u_char *end =
            ngx_snprintf((u_char *) peer->error, sizeof(peer->error) - 1,
                         "%V could not be resolved (%i: %s)", &lookup->name,
                         lookup->state, ngx_resolver_strerror(lookup->state));
        *end = '\0';
        peer->result = NGX_ERROR;
    }
    ngx_resolve_name_done(lookup);
    if (!peer->starts) {
        peer->found(peer->owner, peer->result);
    }
}


static ngx_int_t
look_up(resolua_peer_t *peer, const resolua_socket_conf_t *conf,
        const ngx_str_t *host)
{
    ngx_resolver_ctx_t *lookup = conf->resolver != NULL
                                     ? ngx_resolve_start(conf->resolver, NULL)
                                     : NGX_NO_RESOLVER;
    if (lookup == NGX_NO_RESOLVER) {
        return fail(peer, "no resolver defined to resolve \"%V\"", host);
    }
    if (lookup == NULL) {
        return fail(peer, "failed to start the resolver for \"%V\"", host);
    }
    lookup->name = *host;
    lookup->handler = on_lookup;
    lookup->data = peer;
    lookup->timeout = conf->resolver_timeout;
    peer->lookup = lookup;
    peer->result = NGX_AGAIN;
    peer->starts = 1;
    const ngx_int_t rc = ngx_resolve_name(lookup);
    peer->starts = 0;
    if (rc != NGX_OK) { /* nginx has let the context go */
        peer->lookup = NULL;
        return fail(peer, "failed to run the resolver for \"%V\"", host);
    }
    return peer->result;
}


ngx_int_t
resolua_peer_find(resolua_peer_t *peer, const resolua_socket_conf_t *conf,
                  ngx_str_t host, in_port_t port)
{
    peer->port = port;
    if (host.len >= 5 && ngx_strncmp(host.data, "unix:", 5) == 0) {
        const ngx_str_t path = {host.len - 5, host.data + 5};
        return set_unix(peer, &path);
    }
    if (host.len == 0) {
        return fail(peer, "failed to parse host name \"%V\": no host", &host);
    }
    return set_number(peer, &host) == NGX_OK ? NGX_OK
                                             : look_up(peer, conf, &host);
}


void
resolua_peer_cancel(resolua_peer_t *peer)
{
    if (peer->lookup != NULL) {
        ngx_resolve_name_done(peer->lookup);
        peer->lookup = NULL;
    }
}
