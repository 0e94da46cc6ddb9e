/* The JSON form of DNS over HTTPS: ?name=&type=, answers as
   application/dns-json. */

#include "dns/message.h"
#include "dns/query.h"
#include "dns/rdata.h"
#include "dns/rdata_text.h"
#include "dns/type.h"
#include "dns/writer.h"
#include "http/private/doh.h"

enum {
    QUERY_ROOM = 512,
    FIRST_ROOM = 1024,
    TEXT_ROOM = 65536, /* of one rdata; what is longer is left out */
};

/* A text under construction in the request's pool. */
typedef struct {
    ngx_pool_t *pool;
    u_char *octets;
    size_t size;
    size_t room;
} text_t;


static ngx_int_t
append(text_t *t, const char *octets, size_t size)
{
    if (t->room - t->size < size) {
        const size_t room = 2 * t->room + size + FIRST_ROOM;
        u_char *more = ngx_palloc(t->pool, room);
        if (more == NULL) {
            return NGX_ERROR;
        }
        if (t->size > 0) {
            ngx_memcpy(more, t->octets, t->size);
            (void) ngx_pfree(t->pool, t->octets);
        }
        t->octets = more;
        t->room = room;
    }
    ngx_memcpy(t->octets + t->size, octets, size);
    t->size += size;
    return NGX_OK;
}


static ngx_int_t
append_text(text_t *t, const char *text)
{
    return append(t, text, ngx_strlen(text));
}


static ngx_int_t
append_number(text_t *t, const char *before, uint32_t number)
{
    char text[32];
    const u_char *end =
        ngx_snprintf((u_char *) text, sizeof(text), "%uD", number);
    return append_text(t, before) == NGX_OK
               ? append(t, text, (size_t) (end - (u_char *) text))
               : NGX_ERROR;
}


/* A JSON string of presentation form, which is printable ASCII. */
static ngx_int_t
append_string(text_t *t, const char *before, const char *text, size_t size)
{
    if (append_text(t, before) != NGX_OK || append(t, "\"", 1) != NGX_OK) {
        return NGX_ERROR;
    }
    for (size_t i = 0; i < size; i++) {
        if ((text[i] == '"' || text[i] == '\\') &&
            append(t, "\\", 1) != NGX_OK) {
            return NGX_ERROR;
        }
        if (append(t, text + i, 1) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return append(t, "\"", 1);
}


static ngx_int_t
append_owner(text_t *t, const dns_message_record_t *record)
{
    char name[DNS_NAME_TEXT_SIZE];
    const size_t size = dns_name_to_text(name, record->owner);
    return append_string(t, "{\"name\":", name, size) == NGX_OK
               ? append_number(t, ",\"type\":", record->type)
               : NGX_ERROR;
}


static ngx_int_t
append_record(text_t *t, const dns_message_t *m,
              const dns_message_record_t *record)
{
    static uint8_t octets[DNS_RDATA_MAX];
    static char text[TEXT_ROOM];
    dns_rdata_t rdata = {.octets = octets};
    size_t size;
    if (append_owner(t, record) != NGX_OK) {
        return NGX_ERROR;
    }
    if (record->section == DNS_QUESTION) {
        return append(t, "}", 1);
    }
    if (dns_message_rdata(m, record, octets, &rdata.size) != DNS_OK ||
        dns_rdata_to_text(record->type, &rdata, text, sizeof(text), &size) !=
            DNS_OK) {
        size = 0;
    }
    if (append_number(t, ",\"TTL\":", record->ttl) != NGX_OK ||
        append_string(t, ",\"data\":", text, size) != NGX_OK) {
        return NGX_ERROR;
    }
    return append(t, "}", 1);
}


static ngx_int_t
append_sections(text_t *t, dns_message_t *m)
{
    static const char *const names[] = {"Question", "Answer", "Authority",
                                        "Additional"};
    dns_message_record_t record;
    int open = -1; /* the section whose list is open */
    while (dns_message_next(m, &record) == DNS_OK) {
        if (record.type == DNS_TYPE_OPT) {
            continue;
        }
        if (record.section != open) {
            if ((open >= 0 && append(t, "]", 1) != NGX_OK) ||
                append_text(t, ",\"") != NGX_OK ||
                append_text(t, names[record.section]) != NGX_OK ||
                append_text(t, "\":[") != NGX_OK) {
                return NGX_ERROR;
            }
            open = record.section;
        } else if (append(t, ",", 1) != NGX_OK) {
            return NGX_ERROR;
        }
        if (append_record(t, m, &record) != NGX_OK) {
            return NGX_ERROR;
        }
    }
    return open >= 0 ? append(t, "]", 1) : NGX_OK;
}


static ngx_int_t
append_flag(text_t *t, const char *name, uint16_t flags, uint16_t flag)
{
    return append_text(t, name) == NGX_OK
               ? append_text(t, (flags & flag) ? "true" : "false")
               : NGX_ERROR;
}


ngx_int_t
doh_json_write(ngx_pool_t *pool, const uint8_t *wire, size_t size,
               ngx_str_t *out)
{
    text_t t = {.pool = pool};
    dns_message_t m;
    if (dns_message_open(&m, wire, size) != DNS_OK ||
        append_number(&t, "{\"Status\":", m.flags & DNS_RCODE_MASK) != NGX_OK ||
        append_flag(&t, ",\"TC\":", m.flags, DNS_FLAG_TC) != NGX_OK ||
        append_flag(&t, ",\"RD\":", m.flags, DNS_FLAG_RD) != NGX_OK ||
        append_flag(&t, ",\"RA\":", m.flags, DNS_FLAG_RA) != NGX_OK ||
        append_flag(&t, ",\"AD\":", m.flags, DNS_FLAG_AD) != NGX_OK ||
        append_flag(&t, ",\"CD\":", m.flags, DNS_FLAG_CD) != NGX_OK ||
        append_sections(&t, &m) != NGX_OK || append(&t, "}", 1) != NGX_OK) {
        return NGX_ERROR;
    }
    out->data = t.octets;
    out->len = t.size;
    return NGX_OK;
}


ngx_int_t
doh_argument(ngx_http_request_t *r, const char *name, ngx_str_t *out)
{
    ngx_str_t raw;
    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &raw) != NGX_OK ||
        raw.len == 0) {
        return NGX_DECLINED;
    }
    u_char *to = ngx_pnalloc(r->pool, raw.len);
    u_char *from = raw.data;
    if (to == NULL) {
        return NGX_ERROR;
    }
    out->data = to;
    ngx_unescape_uri(&to, &from, raw.len, 0);
    out->len = (size_t) (to - out->data);
    return NGX_OK;
}


static ngx_uint_t
is_set(ngx_http_request_t *r, const char *name)
{
    ngx_str_t value;
    return doh_argument(r, name, &value) == NGX_OK && value.len > 0 &&
           (value.data[0] == '1' || value.data[0] == 't');
}


ngx_int_t
doh_json_query(ngx_http_request_t *r, ngx_str_t *packet)
{
    ngx_str_t name;
    ngx_str_t type;
    uint8_t wire[DNS_NAME_MAX];
    uint16_t number = DNS_TYPE_A;
    uint16_t flags = DNS_FLAG_RD;
    static dns_writer_t w;
    if (doh_argument(r, "name", &name) != NGX_OK) {
        return NGX_DECLINED;
    }
    packet->data = ngx_pnalloc(r->pool, QUERY_ROOM);
    if (packet->data == NULL) {
        return NGX_ERROR;
    }
    if (doh_argument(r, "type", &type) == NGX_OK) {
        const ngx_int_t given = ngx_atoi(type.data, type.len);
        if (given > 0 && given <= 65535) {
            number = (uint16_t) given;
        } else if (dns_type_from_text(&number, (char *) type.data, type.len) !=
                   DNS_OK) {
            return NGX_DECLINED;
        }
    }
    if (dns_name_from_text(wire, (char *) name.data, name.len, NULL, NULL) !=
        DNS_OK) {
        return NGX_DECLINED;
    }
    if (is_set(r, "cd")) {
        flags |= DNS_FLAG_CD;
    }
    const dns_writer_opt_t opt = {.udp_size = DNS_UDP_SIZE,
                                  .dnssec_ok = is_set(r, "do")};
    dns_writer_init(&w, packet->data, QUERY_ROOM);
    dns_writer_put_header(&w, 0, flags);
    if (dns_writer_put_question(&w, wire, number, DNS_CLASS_IN) != DNS_OK ||
        dns_writer_put_opt(&w, &opt) != DNS_OK) {
        return NGX_ERROR;
    }
    packet->len = w.used;
    return NGX_OK;
}
