/* What a server says about answers: the set handlers. */

#include "server/conf.h"

static const char duplicate[] = "is duplicate";


static dns_server_conf_t *
target(const ngx_command_t *cmd, void *conf)
{
    return (void *) ((char *) conf + cmd->offset);
}


static char *
complain(ngx_conf_t *cf, const char *what)
{
    const ngx_str_t *value = cf->args->elts;
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V \"%V\": %s", &value[0],
                       &value[1], what);
    return NGX_CONF_ERROR;
}


static char *
check_above_zero(ngx_conf_t *cf, void *post, void *data)
{
    const ngx_msec_t *time = data;
    (void) cf;
    (void) post;
    return *time > 0 ? NGX_CONF_OK : "takes a time above 0";
}


ngx_conf_post_t dns_server_conf_above_zero = {check_above_zero};


static char *
check_upstreams(ngx_conf_t *cf, size_t *size)
{
    const ngx_str_t *value = cf->args->elts;
    *size = 0;
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        ngx_addr_t address;
        if (ngx_parse_addr_port(cf->temp_pool, &address, value[i].data,
                                value[i].len) != NGX_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "%V \"%V\": not an upstream's address, "
                               "ADDR or ADDR:PORT (IPv6 in brackets)",
                               &value[0], &value[i]);
            return NGX_CONF_ERROR;
        }
        *size += value[i].len + 1;
    }
    return NGX_CONF_OK;
}


char *
dns_server_conf_forward(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    dns_server_conf_t *dns = target(cmd, conf);
    const ngx_str_t *value = cf->args->elts;
    size_t size;
    if (dns->forward.data != NULL) {
        return (char *) duplicate;
    }
    if (value[1].len == 3 && ngx_strcmp(value[1].data, "off") == 0) {
        ngx_str_set(&dns->forward, "");
        return cf->args->nelts == 2 ? NGX_CONF_OK
                                    : complain(cf, "stands alone");
    }
    if (check_upstreams(cf, &size) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }
    u_char *text = ngx_pnalloc(cf->pool, size);
    if (text == NULL) {
        return NGX_CONF_ERROR;
    }
    dns->forward.data = text;
    for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
        text = ngx_cpymem(text, value[i].data, value[i].len);
        *text++ = ' ';
    }
    dns->forward.len = size - 1;
    dns_main_conf_t *main_conf = dns_main_conf(cf->cycle);
    if (main_conf->forward.len == 0) {
        main_conf->forward = dns->forward;
    }
    return NGX_CONF_OK;
}


char *
dns_server_conf_udp_size(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    dns_server_conf_t *dns = target(cmd, conf);
    const ngx_str_t *value = cf->args->elts;
    if (dns->udp_size != NGX_CONF_UNSET_UINT) {
        return (char *) duplicate;
    }
    const ngx_int_t size = ngx_atoi(value[1].data, value[1].len);
    if (size < DNS_SERVER_UDP_SIZE_MIN || size > DNS_SERVER_UDP_SIZE_MAX) {
        return complain(cf, "not a number of octets from 512 to 4096");
    }
    dns->udp_size = (ngx_uint_t) size;
    return NGX_CONF_OK;
}


/* Hexadecimal digits; NGX_DECLINED: they are not. */
static ngx_int_t
read_hex(ngx_conf_t *cf, const u_char *text, size_t size, ngx_str_t *octets)
{
    if (size % 2 != 0) {
        return NGX_DECLINED;
    }
    octets->len = size / 2;
    octets->data = ngx_pnalloc(cf->pool, octets->len + 1);
    if (octets->data == NULL) {
        return NGX_ERROR;
    }
    for (size_t i = 0; i < octets->len; i++) {
        const ngx_int_t octet = ngx_hextoi((u_char *) text + 2 * i, 2);
        if (octet == NGX_ERROR) {
            octets->data = NULL;
            return NGX_DECLINED;
        }
        octets->data[i] = (u_char) octet;
    }
    return NGX_OK;
}


/* Text as it is, or octets as 0xHEX. */
char *
dns_server_conf_nsid(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    enum { NSID_MAX = 128 }; /* octets: leaves room for other options */
    dns_server_conf_t *dns = target(cmd, conf);
    const ngx_str_t *value = cf->args->elts;
    if (dns->nsid.data != NULL) {
        return (char *) duplicate;
    }
    if (ngx_strncmp(value[1].data, "0x", 2) != 0) {
        dns->nsid = value[1];
    } else if (read_hex(cf, value[1].data + 2, value[1].len - 2, &dns->nsid) !=
               NGX_OK) {
        return complain(cf, "not hexadecimal digits");
    }
    return dns->nsid.len > NSID_MAX ? complain(cf, "over 128 octets")
                                    : NGX_CONF_OK;
}


char *
dns_server_conf_cookie(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    dns_server_conf_t *dns = target(cmd, conf);
    const ngx_str_t *value = cf->args->elts;
    if (dns->cookie_secret.data != NULL) {
        return (char *) duplicate;
    }
    if (value[1].len != 2 * DNS_COOKIE_SECRET_SIZE ||
        read_hex(cf, value[1].data, value[1].len, &dns->cookie_secret) !=
            NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V takes 32 hexadecimal digits", &value[0]);
        return NGX_CONF_ERROR;
    }
    return NGX_CONF_OK;
}


/* With the final NUL that nginx's own lacks. */
static ngx_str_t
copy_hostname(const ngx_conf_t *cf)
{
    const ngx_str_t *name = &cf->cycle->hostname;
    ngx_str_t copy = ngx_null_string;
    u_char *text = ngx_pnalloc(cf->pool, name->len + 1);
    if (text != NULL) {
        *ngx_cpymem(text, name->data, name->len) = '\0';
        copy.data = text;
        copy.len = name->len;
    }
    return copy;
}


/* on | off | VERSION [HOSTNAME]: what version.bind and hostname.bind say. */
char *
dns_server_conf_chaos(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    enum { CHAOS_MAX = 255 }; /* octets of one character string */
    dns_server_conf_t *dns = target(cmd, conf);
    const ngx_str_t *value = cf->args->elts;
    if (dns->version.data != NULL) {
        return (char *) duplicate;
    }
    ngx_str_set(&dns->version, "");
    ngx_str_set(&dns->hostname, "");
    if (ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }
    if (ngx_strcmp(value[1].data, "on") == 0) {
        ngx_str_set(&dns->version, "Resolua");
        dns->hostname = copy_hostname(cf);
    } else {
        dns->version = value[1];
    }
    if (cf->args->nelts == 3) {
        dns->hostname = value[2];
    }
    return dns->version.len > CHAOS_MAX || dns->hostname.len > CHAOS_MAX
               ? complain(cf, "over 255 octets")
               : NGX_CONF_OK;
}
