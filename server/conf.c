#include "server/conf.h"

void
dns_server_conf_init(dns_server_conf_t *conf)
{
    ngx_memzero(conf, sizeof(*conf));
    conf->udp_size = NGX_CONF_UNSET_UINT;
    conf->forward_timeout = NGX_CONF_UNSET_MSEC;
    conf->forward_retry = NGX_CONF_UNSET_MSEC;
    conf->forward_down = NGX_CONF_UNSET_MSEC;
    conf->on_query = NGX_CONF_UNSET_PTR;
    conf->on_answer = NGX_CONF_UNSET_PTR;
    conf->on_log = NGX_CONF_UNSET_PTR;
}


static void
merge_text(ngx_str_t *text, const ngx_str_t *outer)
{
    if (text->data == NULL) {
        *text = *outer;
    }
}


void
dns_server_conf_merge(dns_server_conf_t *conf, const dns_server_conf_t *outer)
{
    enum {
        FORWARD_TIMEOUT = 4500, /* ms; clients ask again after 5 s */
        FORWARD_RETRY = 1000,
        FORWARD_DOWN = 5000,
        FIRST_HOOK_VIEW = 0x484f4f4b, /* anywhere */
    };
    static uint32_t hook_views;
    ngx_conf_merge_uint_value(conf->udp_size, outer->udp_size, 1232);
    ngx_conf_merge_msec_value(conf->forward_timeout, outer->forward_timeout,
                              FORWARD_TIMEOUT);
    ngx_conf_merge_msec_value(conf->forward_retry, outer->forward_retry,
                              FORWARD_RETRY);
    ngx_conf_merge_msec_value(conf->forward_down, outer->forward_down,
                              FORWARD_DOWN);
    merge_text(&conf->forward, &outer->forward);
    conf->view = ngx_crc32_long(conf->forward.data, conf->forward.len);
    /* What a hook keeps depends on its code, on the modules that this loads,
       and on its server.  The master process counts on through all reloads, so
       that no other hook is given it, nor the same one with a changed module.
     */
    conf->hook_view = FIRST_HOOK_VIEW + ++hook_views;
    merge_text(&conf->nsid, &outer->nsid);
    merge_text(&conf->cookie_secret, &outer->cookie_secret);
    merge_text(&conf->version, &outer->version);
    merge_text(&conf->hostname, &outer->hostname);
    ngx_conf_merge_ptr_value(conf->on_query, outer->on_query, NULL);
    ngx_conf_merge_ptr_value(conf->on_answer, outer->on_answer, NULL);
    ngx_conf_merge_ptr_value(conf->on_log, outer->on_log, NULL);
}
