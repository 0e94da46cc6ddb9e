/* dns_store mysql://USER:PASSWORD@HOST[:PORT],.../DATABASE and redis://... */

#include <ngx_event_connect.h>

#include "server/private/remote.h"

enum {
    TIMEOUT_MS = 2000,
    POLL_MS = 1000,
    IDLE_MS = 60000,
    TTL_CAP = 5, /* seconds */
    MYSQL_CONNECTIONS = 8,
    REDIS_CONNECTIONS = 2,
    CONNECTIONS_MAX = 256,
    QUEUE = 1024,
    QUEUE_MAX = 65536,
    MYSQL_PORT = 3306,
    REDIS_PORT = 6379,
    SENTINEL_PORT = 26379,
};


static ngx_int_t
complain(ngx_conf_t *cf, const ngx_str_t *word, const char *what)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "dns_store \"%V\": %s", word,
                       what);
    return NGX_ERROR;
}


static ngx_int_t
copy(ngx_conf_t *cf, ngx_str_t *out, const u_char *from, const u_char *to)
{
    out->len = (size_t) (to - from);
    out->data = ngx_pnalloc(cf->pool, out->len + 1);
    if (out->data == NULL) {
        return NGX_ERROR;
    }
    ngx_memcpy(out->data, from, out->len);
    out->data[out->len] = '\0';
    return NGX_OK;
}


/* A part of the URL with its %XX as octets. */
static ngx_int_t
copy_unescaped(ngx_conf_t *cf, ngx_str_t *out, u_char *from, const u_char *to)
{
    if (copy(cf, out, from, to) != NGX_OK) {
        return NGX_ERROR;
    }
    u_char *dst = out->data;
    u_char *src = from;
    ngx_unescape_uri(&dst, &src, (size_t) (to - from), 0);
    out->len = (size_t) (dst - out->data);
    *dst = '\0';
    return NGX_OK;
}


/* user[:password] */
static ngx_int_t
read_account(ngx_conf_t *cf, remote_conf_t *conf, u_char *from, u_char *to)
{
    u_char *colon = ngx_strlchr(from, to, ':');
    if (colon == NULL) {
        return copy_unescaped(cf, &conf->user, from, to);
    }
    if (copy_unescaped(cf, &conf->password, colon + 1, to) != NGX_OK) {
        return NGX_ERROR;
    }
    return colon == from ? NGX_OK
                         : copy_unescaped(cf, &conf->user, from, colon);
}


/* A host's name becomes its first address, as nginx does with upstreams. */
static ngx_int_t
add_host(ngx_conf_t *cf, remote_conf_t *conf, u_char *from, u_char *to)
{
    ngx_url_t url;
    u_char text[NGX_SOCKADDR_STRLEN];
    ngx_memzero(&url, sizeof(url));
    url.url.data = from;
    url.url.len = (size_t) (to - from);
    url.default_port = !conf->is_redis               ? MYSQL_PORT
                       : conf->sentinel.data != NULL ? SENTINEL_PORT
                                                     : REDIS_PORT;
    if (ngx_parse_url(cf->pool, &url) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "dns_store: %s in \"%V\"",
                           url.err != NULL ? url.err : "error", &url.url);
        return NGX_ERROR;
    }
    for (ngx_uint_t i = 0; i < url.naddrs; i++) {
        if (conf->host_count == REMOTE_HOSTS_MAX) {
            return complain(cf, &url.url, "too many hosts");
        }
        const size_t size = ngx_sock_ntop(
            url.addrs[i].sockaddr, url.addrs[i].socklen, text, sizeof(text), 0);
        if (copy(cf, &conf->hosts[conf->host_count], text, text + size) !=
            NGX_OK) {
            return NGX_ERROR;
        }
        conf->ports[conf->host_count++] = url.port;
    }
    return NGX_OK;
}


static ngx_int_t
read_hosts(ngx_conf_t *cf, remote_conf_t *conf, u_char *from, u_char *to)
{
    while (from < to) {
        u_char *comma = ngx_strlchr(from, to, ',');
        u_char *end = comma != NULL ? comma : to;
        if (add_host(cf, conf, from, end) != NGX_OK) {
            return NGX_ERROR;
        }
        from = end + 1;
    }
    return NGX_OK;
}


/* The URL without user and password. */
static ngx_int_t
set_name(ngx_conf_t *cf, remote_conf_t *conf, const ngx_str_t *url,
         const u_char *hosts)
{
    const size_t scheme = sizeof("mysql://") - 1;
    const size_t rest = (size_t) (url->data + url->len - hosts);
    conf->name.data = ngx_pnalloc(cf->pool, scheme + rest);
    if (conf->name.data == NULL) {
        return NGX_ERROR;
    }
    conf->name.len = scheme + rest;
    ngx_memcpy(conf->name.data, url->data, scheme);
    ngx_memcpy(conf->name.data + scheme, hosts, rest);
    return NGX_OK;
}


static ngx_int_t
read_url(ngx_conf_t *cf, remote_conf_t *conf, const ngx_str_t *url)
{
    u_char *at = url->data + sizeof("mysql://") - 1;
    u_char *end = url->data + url->len;
    u_char *slash = ngx_strlchr(at, end, '/');
    u_char *hosts_end = slash != NULL ? slash : end;
    u_char *account_end = NULL;
    for (u_char *p = at; p < hosts_end; p++) {
        account_end = *p == '@' ? p : account_end;
    }
    if (account_end != NULL) {
        if (read_account(cf, conf, at, account_end) != NGX_OK) {
            return NGX_ERROR;
        }
        at = account_end + 1;
    }
    if (slash != NULL &&
        copy_unescaped(cf, &conf->database, slash + 1, end) != NGX_OK) {
        return NGX_ERROR;
    }
    return set_name(cf, conf, url, at) == NGX_OK
               ? read_hosts(cf, conf, at, hosts_end)
               : NGX_ERROR;
}


static ngx_int_t
read_text(ngx_conf_t *cf, remote_conf_t *conf, size_t offset,
          const ngx_str_t *value)
{
    return copy(cf, (ngx_str_t *) ((u_char *) conf + offset), value->data,
                value->data + value->len);
}


static ngx_int_t
read_path(ngx_conf_t *cf, remote_conf_t *conf, size_t offset,
          const ngx_str_t *value)
{
    ngx_str_t *path = (ngx_str_t *) ((u_char *) conf + offset);
    ngx_file_info_t info;
    *path = *value;
    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_ERROR;
    }
    if (ngx_file_info(path->data, &info) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "dns_store: \"%V\" cannot be read", path);
        return NGX_ERROR;
    }
    return NGX_OK;
}


/* The readers of numbers: NGX_DECLINED: it is none. */
static ngx_int_t
read_ms(ngx_conf_t *cf, remote_conf_t *conf, size_t offset,
        const ngx_str_t *value)
{
    (void) cf;
    const ngx_int_t ms = ngx_parse_time((ngx_str_t *) value, 0);
    if (ms == NGX_ERROR || ms == 0) {
        return NGX_DECLINED;
    }
    *(ngx_msec_t *) ((u_char *) conf + offset) = (ngx_msec_t) ms;
    return NGX_OK;
}


static ngx_int_t
read_seconds(ngx_conf_t *cf, remote_conf_t *conf, size_t offset,
             const ngx_str_t *value)
{
    (void) cf;
    const ngx_int_t seconds = ngx_parse_time((ngx_str_t *) value, 1);
    if (seconds == NGX_ERROR) {
        return NGX_DECLINED;
    }
    *(time_t *) ((u_char *) conf + offset) = seconds;
    return NGX_OK;
}


static ngx_int_t
read_number(ngx_conf_t *cf, remote_conf_t *conf, size_t offset,
            const ngx_str_t *value)
{
    (void) cf;
    const ngx_int_t number = ngx_atoi(value->data, value->len);
    const ngx_int_t max =
        offset == offsetof(remote_conf_t, queue) ? QUEUE_MAX : CONNECTIONS_MAX;
    if (number < 1 || number > max) {
        return NGX_DECLINED;
    }
    *(ngx_uint_t *) ((u_char *) conf + offset) = (ngx_uint_t) number;
    return NGX_OK;
}


/* The first line, so that the password need not stand in nginx.conf. */
static ngx_int_t
read_password(ngx_conf_t *cf, remote_conf_t *conf, size_t offset,
              const ngx_str_t *value)
{
    enum { SIZE_MAX_ = 1024 };
    ngx_str_t path = *value;
    u_char text[SIZE_MAX_];
    (void) offset;
    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_ERROR;
    }
    const ngx_fd_t fd =
        ngx_open_file(path.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    const ssize_t n =
        fd == NGX_INVALID_FILE ? -1 : read(fd, text, sizeof(text));
    if (fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(fd);
    }
    if (n < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "dns_store: password_file \"%V\" cannot be read",
                           &path);
        return NGX_ERROR;
    }
    u_char *end = ngx_strlchr(text, text + n, '\n');
    return copy(cf, &conf->password, text, end != NULL ? end : text + n);
}


static ngx_int_t
read_flag(ngx_conf_t *cf, remote_conf_t *conf, size_t offset,
          const ngx_str_t *value)
{
    const ngx_uint_t is_on = ngx_strcmp(value->data, "on") == 0;
    if (!is_on && ngx_strcmp(value->data, "off") != 0) {
        return complain(cf, value, "neither on nor off");
    }
    *(ngx_uint_t *) ((u_char *) conf + offset) = is_on;
    return NGX_OK;
}


static ngx_int_t
read_replicas(ngx_conf_t *cf, remote_conf_t *conf, size_t offset,
              const ngx_str_t *value)
{
    remote_conf_t other;
    (void) offset;
    ngx_memzero(&other, sizeof(other));
    other.is_redis = 1;
    if (read_hosts(cf, &other, value->data, value->data + value->len) !=
        NGX_OK) {
        return NGX_ERROR;
    }
    ngx_memcpy(conf->replicas, other.hosts, sizeof(conf->replicas));
    ngx_memcpy(conf->replica_ports, other.ports, sizeof(conf->replica_ports));
    conf->replica_count = other.host_count;
    return NGX_OK;
}


static const struct {
    ngx_str_t name;
    ngx_int_t (*read)(ngx_conf_t *cf, remote_conf_t *conf, size_t offset,
                      const ngx_str_t *value);
    size_t offset;
    enum { BOTH, MYSQL, REDIS } kind;
} options[] = {
    {ngx_string("timeout"), read_ms, offsetof(remote_conf_t, timeout), BOTH},
    {ngx_string("poll"), read_ms, offsetof(remote_conf_t, poll), BOTH},
    {ngx_string("idle_timeout"), read_ms, offsetof(remote_conf_t, idle), BOTH},
    {ngx_string("ttl_cap"), read_seconds, offsetof(remote_conf_t, ttl_cap),
     BOTH},
    {ngx_string("max_connections"), read_number,
     offsetof(remote_conf_t, connections), BOTH},
    {ngx_string("queue"), read_number, offsetof(remote_conf_t, queue), BOTH},
    {ngx_string("socket"), read_text, offsetof(remote_conf_t, socket), BOTH},
    {ngx_string("mirror"), read_text, offsetof(remote_conf_t, mirror), BOTH},
    {ngx_string("password_file"), read_password, 0, BOTH},
    {ngx_string("ca_file"), read_path, offsetof(remote_conf_t, ca_file), BOTH},
    {ngx_string("server_public_key"), read_path,
     offsetof(remote_conf_t, public_key_file), MYSQL},
    {ngx_string("tls"), read_flag, offsetof(remote_conf_t, is_tls), REDIS},
    {ngx_string("tls_name"), read_text, offsetof(remote_conf_t, tls_name),
     REDIS},
    {ngx_string("query_zones"), read_text, offsetof(remote_conf_t, query_zones),
     MYSQL},
    {ngx_string("query_names"), read_text, offsetof(remote_conf_t, query_names),
     MYSQL},
    {ngx_string("query_below"), read_text, offsetof(remote_conf_t, query_below),
     MYSQL},
    {ngx_string("query_records"), read_text,
     offsetof(remote_conf_t, query_records), MYSQL},
    {ngx_string("coredns"), read_text, offsetof(remote_conf_t, coredns), MYSQL},
    {ngx_string("channel"), read_text, offsetof(remote_conf_t, channel), REDIS},
    {ngx_string("sentinel"), read_text, offsetof(remote_conf_t, sentinel),
     REDIS},
    {ngx_string("sentinel_password"), read_text,
     offsetof(remote_conf_t, sentinel_password), REDIS},
    {ngx_string("cluster"), read_flag, offsetof(remote_conf_t, is_cluster),
     REDIS},
    {ngx_string("replicas"), read_replicas, 0, REDIS},
    {ngx_string("prefix"), read_text, offsetof(remote_conf_t, prefix), REDIS},
    {ngx_string("suffix"), read_text, offsetof(remote_conf_t, suffix), REDIS},
};


static ngx_int_t
read_option(ngx_conf_t *cf, remote_conf_t *conf,
            const dns_store_option_t *option)
{
    for (ngx_uint_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (options[i].name.len != option->name.len ||
            ngx_strncmp(options[i].name.data, option->name.data,
                        option->name.len) != 0) {
            continue;
        }
        if ((options[i].kind == MYSQL && conf->is_redis) ||
            (options[i].kind == REDIS && !conf->is_redis)) {
            return complain(cf, &option->name, "not an option of this store");
        }
        const ngx_int_t rc =
            options[i].read(cf, conf, options[i].offset, &option->value);
        return rc == NGX_DECLINED
                   ? complain(cf, &option->word,
                              options[i].read == read_number
                                  ? "not a number within the bounds"
                                  : "not a time")
                   : rc;
    }
    return complain(cf, &option->name, "no such option");
}


/* A statement of the CoreDNS plugin's table, which has zones with a final dot
   and names relative to them. */
static ngx_int_t
put_query(ngx_conf_t *cf, const ngx_str_t *table, const char *format,
          ngx_str_t *out)
{
    enum { QUERY_SIZE = 1024 };
    out->data = ngx_pnalloc(cf->pool, QUERY_SIZE);
    if (out->data == NULL) {
        return NGX_ERROR;
    }
    const u_char *end = ngx_snprintf(out->data, QUERY_SIZE - 1, format, table);
    out->len = (size_t) (end - out->data);
    out->data[out->len] = '\0';
    return NGX_OK;
}


static ngx_int_t
set_coredns(ngx_conf_t *cf, remote_conf_t *conf)
{
#define COREDNS_NAME                                                           \
    "CONCAT(IF(name = '' OR name = '@', '', CONCAT(name, '.')),"               \
    " TRIM(TRAILING '.' FROM zone))"
#define COREDNS_FROM                                                           \
    "SELECT " COREDNS_NAME ", record_type, ttl, content, NULL, id"             \
    " FROM `%Vrecords` WHERE "
    const ngx_str_t *table = &conf->coredns;
    for (ngx_uint_t i = 0; i < table->len; i++) {
        const u_char c = table->data[i];
        if (c != '_' && (c < '0' || c > '9') &&
            ((c | 0x20) < 'a' || (c | 0x20) > 'z')) {
            return complain(cf, table, "not a prefix of a table's name");
        }
    }
    conf->content_is_json = 1;
    return put_query(cf, table,
                     "SELECT TRIM(TRAILING '.' FROM zone),"
                     " BIT_XOR(CRC32(CONCAT_WS('|', id, name, ttl, content,"
                     " record_type))) FROM `%Vrecords` GROUP BY zone",
                     &conf->query_zones) == NGX_OK &&
                   put_query(cf, table, COREDNS_FROM COREDNS_NAME " IN (?)",
                             &conf->query_names) == NGX_OK &&
                   put_query(cf, table,
                             "SELECT 1 FROM `%Vrecords` WHERE " COREDNS_NAME
                             " LIKE ?",
                             &conf->query_below) == NGX_OK &&
                   put_query(cf, table,
                             COREDNS_FROM "TRIM(TRAILING '.' FROM zone) = ?",
                             &conf->query_records) == NGX_OK
               ? NGX_OK
               : NGX_ERROR;
#undef COREDNS_NAME
#undef COREDNS_FROM
}


static ngx_int_t
check_queries(ngx_conf_t *cf, remote_conf_t *conf)
{
    if (conf->coredns.len > 0) {
        return conf->query_zones.len + conf->query_names.len > 0
                   ? complain(cf, &conf->coredns,
                              "coredns= has queries of its own")
                   : set_coredns(cf, conf);
    }
    if ((conf->query_zones.len > 0) != (conf->query_names.len > 0)) {
        return complain(cf, &conf->name,
                        "query_zones and query_names go together");
    }
    if (conf->query_names.len > 0 &&
        ngx_strstr(conf->query_names.data, "(?)") == NULL) {
        return complain(cf, &conf->query_names, "\"IN (?)\" is missing");
    }
    if (conf->query_below.len > 0 &&
        ngx_strchr(conf->query_below.data, '?') == NULL) {
        return complain(cf, &conf->query_below, "\"LIKE ?\" is missing");
    }
    if (conf->query_records.len > 0 &&
        ngx_strchr(conf->query_records.data, '?') == NULL) {
        return complain(cf, &conf->query_records, "\"= ?\" is missing");
    }
    if (conf->mirror.len > 0 && conf->query_zones.len > 0 &&
        conf->query_records.len == 0) {
        return complain(cf, &conf->name, "a mirror needs query_records");
    }
    return NGX_OK;
}


static ngx_int_t
check_redis(ngx_conf_t *cf, remote_conf_t *conf)
{
    if (conf->is_tls != (conf->ca_file.len > 0)) {
        return complain(cf, &conf->name, "tls=on and ca_file= go together");
    }
    if (conf->is_cluster && conf->host_count == 0) {
        return complain(cf, &conf->name, "a cluster has hosts");
    }
    if (conf->is_cluster &&
        (conf->sentinel.len > 0 || conf->replica_count > 0)) {
        return complain(cf, &conf->name,
                        "cluster=on goes neither with sentinel= nor with "
                        "replicas=");
    }
    if (conf->is_cluster &&
        ngx_atoi(conf->database.data, conf->database.len) > 0) {
        return complain(cf, &conf->database, "a cluster has database 0 alone");
    }
    return conf->is_tls ? remote_tls_conf(cf, conf) : NGX_OK;
}


static ngx_int_t
check(ngx_conf_t *cf, remote_conf_t *conf)
{
    if (conf->host_count == 0 && conf->socket.len == 0) {
        return complain(cf, &conf->name, "neither a host nor socket=PATH");
    }
    if (conf->host_count > 0 && conf->socket.len > 0) {
        return complain(cf, &conf->name, "both a host and socket=PATH");
    }
    if (conf->socket.len >= sizeof(((struct sockaddr_un *) 0)->sun_path)) {
        return complain(cf, &conf->socket, "too long a path");
    }
    if (!conf->is_redis && conf->database.len == 0) {
        return complain(cf, &conf->name, "a database is missing");
    }
    if (conf->is_redis && conf->database.len > 0 &&
        ngx_atoi(conf->database.data, conf->database.len) == NGX_ERROR) {
        return complain(cf, &conf->database, "not a database's number");
    }
    return conf->is_redis ? check_redis(cf, conf) : check_queries(cf, conf);
}


ngx_int_t
remote_conf_read(ngx_conf_t *cf, const dns_store_conf_t *store,
                 remote_conf_t *conf)
{
    const dns_store_option_t *option = store->options.elts;
    ngx_memzero(conf, sizeof(*conf));
    conf->is_redis = store->url.data[0] == 'r';
    conf->timeout = TIMEOUT_MS;
    conf->poll = POLL_MS;
    conf->idle = IDLE_MS;
    conf->ttl_cap = TTL_CAP;
    conf->connections = conf->is_redis ? REDIS_CONNECTIONS : MYSQL_CONNECTIONS;
    conf->queue = QUEUE;
    for (ngx_uint_t i = 0; i < store->options.nelts; i++) {
        if (read_option(cf, conf, &option[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return read_url(cf, conf, &store->url) == NGX_OK ? check(cf, conf)
                                                     : NGX_ERROR;
}


ngx_int_t
remote_address(const remote_conf_t *conf, const char *address, in_port_t port,
               ngx_sockaddr_t *out, socklen_t *size)
{
    ngx_memzero(out, sizeof(*out));
    if (address[0] == '\0') {
        out->sockaddr_un.sun_family = AF_UNIX;
        ngx_memcpy(out->sockaddr_un.sun_path, conf->socket.data,
                   conf->socket.len);
        *size = sizeof(struct sockaddr_un);
        return NGX_OK;
    }
    if (ngx_strchr(address, ':') != NULL) {
        out->sockaddr_in6.sin6_family = AF_INET6;
        *size = sizeof(struct sockaddr_in6);
        if (inet_pton(AF_INET6, address, &out->sockaddr_in6.sin6_addr) != 1) {
            return NGX_ERROR;
        }
    } else {
        out->sockaddr_in.sin_family = AF_INET;
        *size = sizeof(struct sockaddr_in);
        if (inet_pton(AF_INET, address, &out->sockaddr_in.sin_addr) != 1) {
            return NGX_ERROR;
        }
    }
    ngx_inet_set_port(&out->sockaddr, port);
    return NGX_OK;
}
