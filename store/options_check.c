/* What the options of a networked store have to say together. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "store/private/options.h"

/* The statements of the CoreDNS plugin's table, which has zones with a final
   dot and names relative to them. */
#define COREDNS_NAME                                                           \
    "CONCAT(IF(name = '' OR name = '@', '', CONCAT(name, '.')),"               \
    " TRIM(TRAILING '.' FROM zone))"
#define COREDNS_FROM                                                           \
    "SELECT " COREDNS_NAME ", record_type, ttl, content, NULL, id"             \
    " FROM `%srecords` WHERE "

static const char *
put_table(store_options_t *o, const char *format)
{
    char text[1024];
    const int size = snprintf(text, sizeof(text), format, o->coredns);

    return size < (int) sizeof(text) ? options_keep(o, text, (size_t) size)
                                     : NULL;
}

static dns_status_t
set_coredns(const options_reader_t *reader)
{
    store_options_t *o = reader->options;
    store_mysql_layout_t *layout = &o->layout;

    if (o->coredns[strspn(o->coredns, "_0123456789abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] != '\0' ||
        strlen(o->coredns) > 64) {
        return options_complain(reader, o->coredns,
                                "not a prefix of a table's name");
    }

    layout->content_is_json = true;
    layout->zones =
        put_table(o, "SELECT TRIM(TRAILING '.' FROM zone),"
                     " BIT_XOR(CRC32(CONCAT_WS('|', id, name, ttl, content,"
                     " record_type))) FROM `%srecords` GROUP BY zone");
    layout->names = put_table(o, COREDNS_FROM COREDNS_NAME " IN (?)");
    layout->below =
        put_table(o, "SELECT 1 FROM `%srecords` WHERE " COREDNS_NAME " LIKE ?");
    layout->records =
        put_table(o, COREDNS_FROM "TRIM(TRAILING '.' FROM zone) = ?");
    return layout->zones != NULL && layout->names != NULL &&
                   layout->below != NULL && layout->records != NULL
               ? DNS_OK
               : DNS_ENOMEM;
}

static dns_status_t
check_statement(const options_reader_t *reader, const char *statement,
                const char *parameter, const char *reason)
{
    return statement == NULL || strstr(statement, parameter) != NULL
               ? DNS_OK
               : options_complain(reader, statement, reason);
}

static dns_status_t
check_layout(const options_reader_t *reader)
{
    const store_options_t *o = reader->options;
    const store_mysql_layout_t *layout = &o->layout;

    if (o->coredns != NULL) {
        return layout->zones != NULL || layout->names != NULL
                   ? options_complain(reader, o->coredns,
                                      "coredns= has queries of its own")
                   : set_coredns(reader);
    }

    if ((layout->zones != NULL) != (layout->names != NULL)) {
        return options_complain(reader, o->name,
                                "query_zones and query_names go together");
    }

    if (layout->owners != NULL && layout->zones == NULL) {
        return options_complain(reader, layout->owners,
                                "query_zones and query_names are missing");
    }

    if (o->mirror != NULL && layout->zones != NULL && layout->records == NULL) {
        return options_complain(reader, o->name,
                                "a mirror needs query_records");
    }

    dns_status_t status =
        check_statement(reader, layout->names, "(?)", "\"IN (?)\" is missing");

    if (status == DNS_OK) {
        status = check_statement(reader, layout->below, "?",
                                 "\"LIKE ?\" is missing");
    }

    if (status == DNS_OK) {
        status =
            check_statement(reader, layout->records, "?", "\"= ?\" is missing");
    }

    return status == DNS_OK ? check_statement(reader, layout->owners, "?",
                                              "\"= ?\" is missing")
                            : status;
}

static dns_status_t
check_mysql(const options_reader_t *reader)
{
    return reader->options->database == NULL
               ? options_complain(reader, reader->options->name,
                                  "a database is missing")
               : check_layout(reader);
}

static dns_status_t
check_cluster(const options_reader_t *reader)
{
    const store_options_t *o = reader->options;

    if (o->hosts.count == 0) {
        return options_complain(reader, o->name, "a cluster has hosts");
    }

    if (o->sentinel != NULL || o->replicas.count > 0) {
        return options_complain(reader, o->name,
                                "cluster=on goes neither with sentinel= nor "
                                "with replicas=");
    }

    return o->database_number > 0
               ? options_complain(reader, o->database,
                                  "a cluster has database 0 alone")
               : DNS_OK;
}

static dns_status_t
check_redis(const options_reader_t *reader)
{
    enum { DATABASE_MAX = 1000000 };
    store_options_t *o = reader->options;

    if (o->database != NULL) {
        char *end;
        const unsigned long number = strtoul(o->database, &end, 10);

        if (o->database[0] < '0' || o->database[0] > '9' || *end != '\0' ||
            number > DATABASE_MAX) {
            return options_complain(reader, o->database,
                                    "not a database's number");
        }

        o->database_number = (unsigned) number;
    }

    if (o->is_tls != (o->ca_file != NULL)) {
        return options_complain(reader, o->name,
                                "tls=on and ca_file= go together");
    }

    return o->is_cluster ? check_cluster(reader) : DNS_OK;
}

static void
set_ports(store_hosts_t *hosts, uint16_t port)
{
    for (unsigned i = 0; i < hosts->count; i++) {
        if (hosts->host[i].port == 0) {
            hosts->host[i].port = port;
        }
    }
}

dns_status_t
options_check(const options_reader_t *reader)
{
    store_options_t *o = reader->options;

    if (o->hosts.count == 0 && o->unix_socket == NULL) {
        return options_complain(reader, o->name,
                                "neither a host nor socket=PATH");
    }

    if (o->hosts.count > 0 && o->unix_socket != NULL) {
        return options_complain(reader, o->name, "both a host and socket=PATH");
    }

    if (o->unix_socket != NULL &&
        strlen(o->unix_socket) >=
            sizeof(((struct sockaddr_un *) 0)->sun_path)) {
        return options_complain(reader, o->unix_socket, "too long a path");
    }

    set_ports(&o->hosts, !o->is_redis          ? STORE_MYSQL_PORT
                         : o->sentinel != NULL ? STORE_SENTINEL_PORT
                                               : STORE_REDIS_PORT);
    set_ports(&o->replicas, STORE_REDIS_PORT);
    return o->is_redis ? check_redis(reader) : check_mysql(reader);
}
