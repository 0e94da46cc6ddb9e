/* No header of its own: the functions of a resolua_upstreams_t, written once
   for nginx's two sets of types, which differ in their prefix alone.  Include
   with OF(name) defined as ngx_http_upstream_##name or
   ngx_stream_upstream_##name and MAIN_CONF as the upstream module's main
   configuration, or NULL. */

typedef OF(main_conf_t) upstream_main_t;
typedef OF(srv_conf_t) upstream_conf_t;
typedef OF(server_t) upstream_of_server_t;
typedef OF(rr_peers_t) upstream_peers_t;
typedef OF(rr_peer_t) upstream_rr_peer_t;


static const upstream_conf_t *
find_upstream(ngx_uint_t at)
{
    const upstream_main_t *conf = MAIN_CONF;
    upstream_conf_t *const *list = conf->upstreams.elts;
    return list[at];
}


static ngx_uint_t
upstream_count(void)
{
    const upstream_main_t *conf = MAIN_CONF;
    return conf != NULL ? conf->upstreams.nelts : 0;
}


static void
upstream_name(ngx_uint_t upstream, ngx_str_t *host, in_port_t *port)
{
    const upstream_conf_t *uscf = find_upstream(upstream);
    *host = uscf->host;
    *port = uscf->port;
}


static ngx_uint_t
upstream_server(ngx_uint_t upstream, ngx_uint_t at,
                resolua_upstream_server_t *server)
{
    const ngx_array_t *servers = find_upstream(upstream)->servers;
    if (servers == NULL || at >= servers->nelts) {
        return 0;
    }
    const upstream_of_server_t *from =
        (const upstream_of_server_t *) servers->elts + at;
    server->name = from->name;
    server->addrs = from->addrs;
    server->naddrs = from->naddrs;
    server->weight = from->weight;
    server->max_conns = from->max_conns;
    server->max_fails = from->max_fails;
    server->fail_timeout = from->fail_timeout;
    server->is_down = from->down;
    server->is_backup = from->backup;
    return 1;
}


static upstream_peers_t *
find_peers(ngx_uint_t upstream, ngx_uint_t is_backup)
{
    upstream_peers_t *peers = find_upstream(upstream)->peer.data;
    return peers != NULL && is_backup ? peers->next : peers;
}


static upstream_rr_peer_t *
find_peer(const upstream_peers_t *peers, ngx_uint_t at)
{
    upstream_rr_peer_t *peer = peers->peer;
    for (; peer != NULL && at > 0; at--) {
        peer = peer->next;
    }
    return peer;
}


static void
copy_peer(const upstream_rr_peer_t *from, resolua_upstream_peer_t *peer)
{
    peer->name_size = ngx_min(from->name.len, sizeof(peer->name));
    ngx_memcpy(peer->name, from->name.data, peer->name_size);
    peer->weight = from->weight;
    peer->current_weight = from->current_weight;
    peer->effective_weight = from->effective_weight;
    peer->conns = from->conns;
    peer->max_conns = from->max_conns;
    peer->fails = from->fails;
    peer->max_fails = from->max_fails;
    peer->fail_timeout = from->fail_timeout;
    peer->accessed = from->accessed;
    peer->checked = from->checked;
    peer->is_down = from->down;
}


static ngx_uint_t
upstream_peer(ngx_uint_t upstream, ngx_uint_t is_backup, ngx_uint_t at,
              resolua_upstream_peer_t *peer)
{
    upstream_peers_t *peers = find_peers(upstream, is_backup);
    if (peers == NULL) {
        return 0;
    }
    if (peers->shpool != NULL) {
        ngx_rwlock_rlock(&peers->rwlock);
    }
    const upstream_rr_peer_t *from = find_peer(peers, at);
    if (from != NULL) {
        copy_peer(from, peer);
    }
    if (peers->shpool != NULL) {
        ngx_rwlock_unlock(&peers->rwlock);
    }
    return from != NULL;
}


static ngx_uint_t
upstream_set_down(ngx_uint_t upstream, ngx_uint_t is_backup, ngx_uint_t at,
                  ngx_uint_t is_down)
{
    upstream_peers_t *peers = find_peers(upstream, is_backup);
    if (peers == NULL) {
        return 0;
    }
    if (peers->shpool != NULL) {
        ngx_rwlock_wlock(&peers->rwlock);
    }
    upstream_rr_peer_t *peer = find_peer(peers, at);
    if (peer != NULL) {
        peer->down = is_down;
    }
    if (peers->shpool != NULL) {
        ngx_rwlock_unlock(&peers->rwlock);
    }
    return peer != NULL;
}
