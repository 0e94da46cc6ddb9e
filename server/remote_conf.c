/* dns_store mysql://... and redis://...: store/options.h reads the words; what
   is left is nginx's: paths, addresses of hosts, TLS. */

#include <ngx_event_connect.h>

#include "client/tls.h"
#include "server/private/remote.h"


static ngx_int_t
complain(ngx_conf_t *cf, const char *what)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "dns_store %s", what);
    return NGX_ERROR;
}


/* A host's name becomes its addresses, as nginx does with upstreams. */
static ngx_int_t
find_addresses(ngx_conf_t *cf, const store_host_t *host, store_hosts_t *out)
{
    const char *format =
        ngx_strchr(host->address, ':') != NULL ? "[%s]:%d" : "%s:%d";
    ngx_url_t url;
    ngx_memzero(&url, sizeof(url));
    url.url.data =
        ngx_pnalloc(cf->pool, ngx_strlen(host->address) + sizeof("[]:65535"));
    if (url.url.data == NULL) {
        return NGX_ERROR;
    }
    url.url.len = (size_t) (ngx_sprintf(url.url.data, format, host->address,
                                        (int) host->port) -
                            url.url.data);
    if (ngx_parse_url(cf->pool, &url) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "dns_store: %s in \"%s\"",
                           url.err != NULL ? url.err : "error", host->address);
        return NGX_ERROR;
    }
    for (ngx_uint_t i = 0; i < url.naddrs; i++) {
        u_char *text = ngx_pcalloc(cf->pool, NGX_SOCKADDR_STRLEN + 1);
        if (text == NULL || out->count == STORE_HOSTS_MAX) {
            return complain(cf, "has too many hosts");
        }
        (void) ngx_sock_ntop(url.addrs[i].sockaddr, url.addrs[i].socklen, text,
                             NGX_SOCKADDR_STRLEN, 0);
        out->host[out->count++] =
            (store_host_t){(const char *) text, host->port};
    }
    return NGX_OK;
}


static ngx_int_t
resolve(ngx_conf_t *cf, store_options_t *options, store_hosts_t *hosts)
{
    store_hosts_t found = {.count = 0};
    for (unsigned i = 0; i < hosts->count; i++) {
        if (find_addresses(cf, &hosts->host[i], &found) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return store_options_set_hosts(options, hosts, &found) == DNS_OK
               ? NGX_OK
               : NGX_ERROR;
}


static void
release_options(void *data)
{
    store_options_release(data);
}


/* The folder without its final slash. */
static const char *
folder_of(ngx_pool_t *pool, const ngx_str_t *prefix)
{
    u_char *text = ngx_pnalloc(pool, prefix->len + 1);
    if (text != NULL) {
        *ngx_cpymem(text, prefix->data, ngx_max(prefix->len, 1) - 1) = '\0';
    }
    return (const char *) text;
}


static ngx_int_t
read_words(ngx_conf_t *cf, store_options_t **out)
{
    const ngx_str_t *value = cf->args->elts;
    const char *words[NGX_CONF_MAX_ARGS];
    char error[STORE_OPTIONS_ERROR_SIZE];
    size_t count = 0;
    const store_folders_t folders = {
        .conf = folder_of(cf->pool, &cf->cycle->conf_prefix),
        .data = folder_of(cf->pool, &cf->cycle->prefix),
    };
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cf->pool, 0);
    if (cleanup == NULL || folders.conf == NULL || folders.data == NULL) {
        return NGX_ERROR;
    }
    for (ngx_uint_t i = 2; i < cf->args->nelts; i++) {
        words[count++] = (const char *) value[i].data;
    }
    const dns_status_t status = store_options_read(
        out, (const char *) value[1].data, words, count, &folders, error);
    if (status != DNS_OK) {
        return complain(cf, status == DNS_ENOMEM ? "has no memory" : error);
    }
    cleanup->handler = release_options;
    cleanup->data = *out;
    return NGX_OK;
}


static void
release_tls(void *data)
{
    tls_context_release(data);
}


/* Here, as workers may not be able to read the file. */
static ngx_int_t
prepare_tls(ngx_conf_t *cf, remote_conf_t *conf)
{
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cf->pool, 0);
    if (cleanup == NULL) {
        return NGX_ERROR;
    }
    conf->tls = tls_context_new(conf->options->ca_file);
    if (conf->tls == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "dns_store: ca_file \"%s\" cannot be read as a file "
                           "of certificates",
                           conf->options->ca_file);
        return NGX_ERROR;
    }
    cleanup->handler = release_tls;
    cleanup->data = conf->tls;
    return NGX_OK;
}


ngx_int_t
remote_conf_read(ngx_conf_t *cf, remote_conf_t *conf)
{
    ngx_memzero(conf, sizeof(*conf));
    if (read_words(cf, &conf->options) != NGX_OK ||
        resolve(cf, conf->options, &conf->options->hosts) != NGX_OK ||
        resolve(cf, conf->options, &conf->options->replicas) != NGX_OK) {
        return NGX_ERROR;
    }
    conf->name = conf->options->name;
    conf->hosts = conf->options->hosts;
    return conf->options->is_tls ? prepare_tls(cf, conf) : NGX_OK;
}


const store_host_t *
remote_host(const remote_store_t *store)
{
    return store->conf->hosts.count > 0 ? &store->conf->hosts.host[store->host]
                                        : NULL;
}


ngx_uint_t
remote_is_address(const char *text)
{
    struct in6_addr any;
    return inet_pton(AF_INET, text, &any) == 1 ||
           inet_pton(AF_INET6, text, &any) == 1;
}
