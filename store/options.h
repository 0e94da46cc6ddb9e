#ifndef STORE_OPTIONS_H
#define STORE_OPTIONS_H

/*
 * The one description of a networked store: where it is and how it is used.
 * The directive dns_store, the command's --store, live stores, stores for who
 * may block and mirrors all read it.
 *
 *     mysql://[USER[:PASSWORD]@]HOST[:PORT][,HOST...]/DATABASE
 *     redis://[USER[:PASSWORD]@]HOST[:PORT][,HOST...][/NUMBER]
 *
 * In user, password and database %XX stands for an octet.  Options follow as
 * NAME=VALUE, or in the URL as ?NAME=VALUE&..., with %XX there as well.  The
 * table in options.c has them all with their bounds, defaults and help.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/status.h"

enum {
    STORE_HOSTS_MAX = 8,
    STORE_OPTIONS_ERROR_SIZE = 512, /* bytes of an error text and its NUL */
    STORE_MYSQL_PORT = 3306,
    STORE_REDIS_PORT = 6379,
    STORE_SENTINEL_PORT = 26379,
    STORE_REDIS_AFFIX_MAX = 255, /* bytes of the prefix, of the suffix */
};

typedef struct {
    const char *address; /* a name or an address without brackets */
    uint16_t port;
} store_host_t;

typedef struct {
    store_host_t host[STORE_HOSTS_MAX];
    unsigned count;
} store_hosts_t;

/*
 * The statements of a MySQL layout.  Names are without the final dot, as
 * parameters and in columns.
 *
 * zones: a row for each zone: name, a mark that changes with the zone (NULL:
 *   none), its number (NULL: none).  Columns at the end may be left out.
 * names: the records of names, with the one parameter "(?)", which becomes as
 *   long a list as is needed: name, type (mnemonic or number), ttl, content,
 *   prio (before the content of MX and SRV), id, zone's number.  From prio on
 *   columns may be left out.
 * below: any row if there is something below a name; its parameter is a pattern
 *   for LIKE.  NULL: what has no records is absent.
 * records: for listings, as names, of the zone with the name that is its
 *   parameter.  NULL: zones are not listed.
 * owners: the owner names of the zone with the name that is its parameter, each
 *   once.  NULL: they are not listed.
 */
typedef struct {
    const char *zones; /* NULL: PowerDNS's layout, which alone can be edited */
    const char *names;
    const char *below;
    const char *records;
    const char *owners;
    bool content_is_json; /* as the CoreDNS plugin for MySQL has it */
} store_mysql_layout_t;

/* Texts are zero-terminated and owned by the options; NULL: not given. */
typedef struct {
    bool is_redis;
    const char *name;       /* the URL without account and options, for logs */
    store_hosts_t hosts;    /* tried in turn; none: unix_socket */
    store_hosts_t replicas; /* Redis: zones are read from these */
    const char *unix_socket;
    const char *user;
    const char *password;
    const char *database;
    unsigned database_number; /* Redis */
    bool is_tls;         /* Redis: with ca_file; MySQL: ca_file is enough */
    const char *ca_file; /* the server's certificate is checked with it */
    const char *server_public_key; /* MySQL: file of the RSA key */
    const char *tls_name;          /* Redis: in that certificate; NULL: any */
    const char *prefix;            /* Redis: of keys */
    const char *suffix;
    const char *channel;  /* Redis: where commits publish their zone */
    const char *sentinel; /* Redis: the hosts are sentinels, and this is the
                             master's name */
    const char *sentinel_password;
    bool is_cluster; /* Redis: the hosts are some of a cluster's nodes */
    store_mysql_layout_t layout;
    const char *mirror;       /* folder of the embedded store that has a copy */
    unsigned timeout_ms;      /* of a live query, and of connecting for it */
    unsigned poll_ms;         /* between listings of the zones */
    unsigned idle_ms;         /* that a connection is kept */
    unsigned ttl_cap;         /* seconds that answers are kept at most */
    unsigned max_connections; /* of a worker */
    unsigned queue;           /* queries that wait for one */

    const char *coredns; /* set by options.c: prefix of the plugin's table */
    struct store_text *texts;
    atomic_uint references;
} store_options_t;

/* Where relative paths in options begin; NULL: they stay as they are. */
typedef struct {
    const char *conf; /* files that are read: password_file, ca_file */
    const char *data; /* folders that are written: mirror */
} store_folders_t;

/*
 * Reads a URL and count options of the form NAME=VALUE.  error:
 * STORE_OPTIONS_ERROR_SIZE bytes: what is wrong, with the word in quotes.
 * DNS_EMALFORMED: something is wrong; DNS_ENOMEM.  *out is the caller's,
 * who releases it.  Nobody else changes it.
 */
DNS_EXPORT DNS_MUST_USE dns_status_t store_options_read(
    store_options_t **out, const char *url, const char *const *words,
    size_t count, const store_folders_t *folders, char *error);

/* Counted; the last release frees.  From any thread. */
store_options_t *store_options_acquire(store_options_t *options);
DNS_EXPORT void store_options_release(store_options_t *options);

/* Replaces the hosts of a list by others, for who resolves names by itself;
   addresses are copied.  DNS_ENOMEM. */
DNS_EXPORT DNS_MUST_USE dns_status_t store_options_set_hosts(
    store_options_t *options, store_hosts_t *list, const store_hosts_t *hosts);

/* For manuals: the option with this number, as "NAME=KIND", for which stores
   it is, its default and its help; all static.  False: there are fewer. */
typedef struct {
    const char *name;
    const char *kind;   /* TIME, N, PATH, TEXT, ... */
    const char *stores; /* "", "MySQL", "Redis" */
    const char *standard;
    const char *help;
} store_option_help_t;

bool store_options_help(unsigned number, store_option_help_t *out);

#endif
