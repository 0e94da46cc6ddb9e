#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/rdata.h"
#include "dns/rdata_text.h"
#include "dns/type.h"
#include "store/private/mysql.h"

/* Growing text; text NULL: memory is used up. */
typedef struct {
    char *text;
    size_t size;
} text_t;

enum { CONTENT_SIZE = 4 * DNS_RDATA_MAX + 1024 }; /* bytes of one rdata */

/* The third word of a SOA's content plus 1 (RFC 1982: back to 0 at the end). */
static const char serial_text[] =
    "UPDATE records SET content = CONCAT(SUBSTRING_INDEX(content, ' ', 2), ' ',"
    " (SUBSTRING_INDEX(SUBSTRING_INDEX(content, ' ', 3), ' ', -1) + 1)"
    " %% 4294967296,"
    " SUBSTRING(content, CHAR_LENGTH(SUBSTRING_INDEX(content, ' ', 3)) + 1))"
    " WHERE domain_id = %u AND type = 'SOA' AND disabled = 0";

__attribute__((format(printf, 2, 3))) static void
put(text_t *out, const char *format, ...)
{
    char *more = NULL;
    va_list values;

    va_start(values, format);

    int size = vasprintf(&more, format, values);

    va_end(values);

    char *text = size < 0 || out->text == NULL
                     ? NULL
                     : realloc(out->text, out->size + (size_t) size + 1);

    if (text == NULL) {
        free(out->text);
        out->text = NULL;
    } else {
        memcpy(text + out->size, more, (size_t) size + 1);
        out->text = text;
        out->size += (size_t) size;
    }

    if (size >= 0) {
        free(more);
    }
}

static void
put_quoted(text_t *out, MYSQL *link, const char *text)
{
    size_t size = strlen(text);
    char *escaped = malloc(2 * size + 1);

    if (escaped == NULL) {
        free(out->text);
        out->text = NULL;
        return;
    }

    mysql_real_escape_string(link, escaped, text, (unsigned long) size);
    put(out, "'%s'", escaped);
    free(escaped);
}

/* The layout has names without the final dot. */
static bool
has_names(uint16_t type)
{
    return type == DNS_TYPE_NS || type == DNS_TYPE_CNAME ||
           type == DNS_TYPE_PTR || type == DNS_TYPE_DNAME ||
           type == DNS_TYPE_MX || type == DNS_TYPE_SRV || type == DNS_TYPE_SOA;
}

/* Dots at the ends of words go, but for the root and an escaped dot. */
static void
drop_dots(char *text)
{
    char *out = text;

    for (const char *p = text; *p != '\0'; p++) {
        bool ends_word = p[1] == ' ' || p[1] == '\0';
        bool is_plain = p > text && p[-1] != ' ' && p[-1] != '\\';

        if (*p != '.' || !ends_word || !is_plain) {
            *out++ = *p;
        }
    }

    *out = '\0';
}

static void
put_record(text_t *out, const store_mysql_t *db, const dns_rrset_t *set,
           char *content)
{
    char *rest = content;
    unsigned long prio = 0;

    if (has_names(set->type)) {
        drop_dots(content);
    }

    if (set->type == DNS_TYPE_MX || set->type == DNS_TYPE_SRV) {
        prio = strtoul(content, &rest, 10);
        rest += *rest == ' ';
    }

    put(out, "SELECT ");
    put_quoted(out, db->link, rest);
    put(out, " AS content, %u AS ttl, %lu AS prio", set->ttl, prio);
}

static dns_status_t
put_records(text_t *out, const store_mysql_t *db, const dns_rrset_t *set)
{
    char *content = malloc(CONTENT_SIZE);
    dns_status_t status = content == NULL ? DNS_ENOMEM : DNS_OK;
    dns_rdata_t rdata;
    const char *between = "";

    for (size_t at = 0; status == DNS_OK && dns_rrset_next(set, &at, &rdata);) {
        size_t length;

        status = dns_rdata_check(set->type, rdata.octets, rdata.size);

        if (status == DNS_OK) {
            status = dns_rdata_to_text(set->type, &rdata, content, CONTENT_SIZE,
                                       &length);
        }

        if (status == DNS_OK) {
            put(out, "%s", between);
            put_record(out, db, set, content);
            between = " UNION ALL ";
        }
    }

    free(content);
    return status;
}

/* No rows go in if a CNAME would stand beside other data. */
static dns_status_t
put_insert(text_t *out, const store_mysql_t *db, const store_mysql_set_t *edit,
           const char *where)
{
    char type[DNS_MNEMONIC_SIZE];

    dns_type_to_text(type, edit->set.type);
    put(out,
        "INSERT INTO records (domain_id, name, type, content, ttl, prio,"
        " disabled, auth) SELECT %u, ",
        edit->zone->id);
    put(out, "%s, '%s', r.content, r.ttl, r.prio, 0, 1 FROM (", where, type);

    dns_status_t status = put_records(out, db, &edit->set);

    put(out,
        ") AS r WHERE NOT EXISTS (SELECT 1 FROM records WHERE domain_id = %u"
        " AND name = %s AND disabled = 0 AND type %s)",
        edit->zone->id, where,
        edit->set.type == DNS_TYPE_CNAME ? "NOT IN ('RRSIG', 'NSEC')"
                                         : "= 'CNAME'");
    return status;
}

static dns_status_t
check(const store_mysql_set_t *edit)
{
    if (!dns_name_is_within(edit->name, edit->zone->apex.octets)) {
        return DNS_EMALFORMED;
    }

    if (edit->set.count > STORE_MYSQL_SET_MAX) {
        return DNS_ELIMIT;
    }

    bool is_single =
        edit->set.type == DNS_TYPE_SOA || edit->set.type == DNS_TYPE_CNAME;

    if ((is_single && edit->set.count > 1) ||
        (edit->set.type == DNS_TYPE_SOA && edit->set.count == 0)) {
        return DNS_ECONFLICT;
    }

    return DNS_OK;
}

static char *
quoted_name(const store_mysql_t *db, const uint8_t *name)
{
    char text[DNS_NAME_TEXT_SIZE];
    dns_name_t lower;
    text_t out = {strdup(""), 0};

    dns_name_set(&lower, name);

    size_t size = dns_name_to_text(text, lower.octets);

    if (size > 1) {
        text[size - 1] = '\0';
    }

    put_quoted(&out, db->link, text);
    return out.text;
}

dns_status_t
store_mysql_write_edit(store_mysql_t *db, const store_mysql_set_t *edit)
{
    text_t texts[MYSQL_EDIT_TEXTS];
    char type[DNS_MNEMONIC_SIZE];
    dns_status_t status = check(edit);
    char *name = status == DNS_OK ? quoted_name(db, edit->name) : NULL;

    if (name == NULL) {
        return status == DNS_OK ? DNS_ENOMEM : status;
    }

    for (unsigned i = 0; i < MYSQL_EDIT_TEXTS; i++) {
        texts[i] = (text_t){strdup(""), 0};
    }

    dns_type_to_text(type, edit->set.type);
    put(&texts[MYSQL_EDIT_BEGIN], "START TRANSACTION");
    put(&texts[MYSQL_EDIT_SERIAL], serial_text, edit->zone->id);
    put(&texts[MYSQL_EDIT_DELETE],
        "DELETE FROM records WHERE domain_id = %u AND name = %s AND type = "
        "'%s'",
        edit->zone->id, name, type);

    if (edit->set.count > 0) {
        status = put_insert(&texts[MYSQL_EDIT_INSERT], db, edit, name);
    }

    put(&texts[MYSQL_EDIT_COMMIT], "COMMIT");
    free(name);

    for (unsigned i = 0; i < MYSQL_EDIT_TEXTS; i++) {
        free(db->edit[i]);
        db->edit[i] = texts[i].text;
        status =
            status == DNS_OK && texts[i].text == NULL ? DNS_ENOMEM : status;
    }

    db->is_delete = edit->set.count == 0;
    return status;
}

dns_status_t
store_mysql_check_edit(const store_mysql_t *db)
{
    if (mysql_affected_rows(db->link) > 0) {
        return DNS_OK;
    }

    switch (db->edit_at) {
    case MYSQL_EDIT_SERIAL:
        return DNS_ENOTFOUND;
    case MYSQL_EDIT_DELETE:
        return db->is_delete ? DNS_ENOTFOUND : DNS_OK;
    case MYSQL_EDIT_INSERT:
        return DNS_ECONFLICT;
    default:
        return DNS_OK;
    }
}
