#include "store/options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/private/options.h"

enum {
    CONNECTIONS_MAX = 256,
    QUEUE_MAX = 65536,
    PASSWORD_MAX = 1024, /* bytes of the first line of password_file */
    PATH_SIZE = 4096,
};

typedef enum { BOTH, MYSQL, REDIS } stores_t;

typedef enum {
    TEXT,
    PATH,
    FOLDER,
    TIME,
    SECONDS,
    NUMBER,
    FLAG,
    HOSTS,
    PASSWORD
} kind_t;

typedef struct {
    const char *name;
    kind_t kind;
    stores_t stores;
    size_t offset;        /* of the member it sets */
    unsigned max;         /* NUMBER: 1 to this; TEXT: bytes; 0: any */
    const char *standard; /* the default, as it is written; NULL: none */
    const char *help;
} option_t;

#define AT(member) offsetof(store_options_t, member)

static const option_t table[] = {
    {"timeout", TIME, BOTH, AT(timeout_ms), 0, "2s",
     "of a query and of connecting"},
    {"poll", TIME, BOTH, AT(poll_ms), 0, "1s", "between listings of the zones"},
    {"idle_timeout", TIME, BOTH, AT(idle_ms), 0, "60s",
     "closes connections that nothing uses"},
    {"ttl_cap", SECONDS, BOTH, AT(ttl_cap), 0, "5s",
     "that an answer is kept at most"},
    {"max_connections", NUMBER, BOTH, AT(max_connections), CONNECTIONS_MAX,
     NULL, "of a worker: 8 to MySQL, 2 to Redis"},
    {"queue", NUMBER, BOTH, AT(queue), QUEUE_MAX, "1024",
     "queries that wait for a connection"},
    {"socket", TEXT, BOTH, AT(unix_socket), 0, NULL,
     "a Unix socket in the place of hosts"},
    {"mirror", FOLDER, BOTH, AT(mirror), 0, NULL,
     "answers come from a copy in the embedded store of this folder"},
    {"password_file", PASSWORD, BOTH, AT(password), 0, NULL,
     "its first line is the password"},
    {"ca_file", PATH, BOTH, AT(ca_file), 0, NULL,
     "certificates by which the server's is checked; MySQL: with it TLS is on"},
    {"server_public_key", PATH, MYSQL, AT(server_public_key), 0, NULL,
     "the server's RSA key, for passwords without TLS"},
    {"tls", FLAG, REDIS, AT(is_tls), 0, "off", "TLS, with ca_file"},
    {"tls_name", TEXT, REDIS, AT(tls_name), 0, NULL,
     "the name that the server's certificate must have"},
    {"query_zones", TEXT, MYSQL, AT(layout.zones), 0, NULL,
     "the statement that lists zones of a layout of your own"},
    {"query_names", TEXT, MYSQL, AT(layout.names), 0, NULL,
     "the statement for the records of names"},
    {"query_below", TEXT, MYSQL, AT(layout.below), 0, NULL,
     "the statement that finds what is below a name"},
    {"query_records", TEXT, MYSQL, AT(layout.records), 0, NULL,
     "the statement for all records of a zone"},
    {"query_owners", TEXT, MYSQL, AT(layout.owners), 0, NULL,
     "the statement for the names of a zone, which proofs need"},
    {"coredns", TEXT, MYSQL, AT(coredns), 0, NULL,
     "the prefix of the tables of CoreDNS's MySQL plugin"},
    {"channel", TEXT, REDIS, AT(channel), 0, NULL,
     "where a commit publishes the name of its zone"},
    {"sentinel", TEXT, REDIS, AT(sentinel), 0, NULL,
     "the hosts are sentinels, and the master has this name"},
    {"sentinel_password", TEXT, REDIS, AT(sentinel_password), 0, NULL,
     "of the sentinels"},
    {"cluster", FLAG, REDIS, AT(is_cluster), 0, "off",
     "the hosts are nodes of Redis Cluster"},
    {"replicas", HOSTS, REDIS, AT(replicas), 0, NULL,
     "hosts that zones are read from"},
    {"prefix", TEXT, REDIS, AT(prefix), STORE_REDIS_AFFIX_MAX, NULL,
     "what stands before a zone in its key"},
    {"suffix", TEXT, REDIS, AT(suffix), STORE_REDIS_AFFIX_MAX, NULL,
     "what stands behind a zone in its key"},
};

enum { OPTION_COUNT = sizeof(table) / sizeof(table[0]) };

struct store_text {
    struct store_text *next;
    char octets[];
};

char *
options_keep(store_options_t *o, const char *text, size_t size)
{
    struct store_text *kept = malloc(sizeof(*kept) + size + 1);

    if (kept == NULL) {
        return NULL;
    }

    memcpy(kept->octets, text, size);
    kept->octets[size] = '\0';
    kept->next = o->texts;
    o->texts = kept;
    return kept->octets;
}

dns_status_t
options_complain(const options_reader_t *reader, const char *word,
                 const char *what)
{
    snprintf(reader->error, STORE_OPTIONS_ERROR_SIZE, "\"%.300s\": %s", word,
             what);
    return DNS_EMALFORMED;
}

static dns_status_t
complain_file(const options_reader_t *reader, const char *name,
              const char *path)
{
    snprintf(reader->error, STORE_OPTIONS_ERROR_SIZE,
             "%s \"%.300s\" cannot be read: %s", name, path, strerror(errno));
    return DNS_EMALFORMED;
}

static void *
member(const options_reader_t *reader, const option_t *option)
{
    return (char *) reader->options + option->offset;
}

static dns_status_t
set_text(const options_reader_t *reader, const option_t *option,
         const char *text, size_t size)
{
    const char **out = member(reader, option);

    if (size == 0) {
        *out = NULL;
        return DNS_OK;
    }

    *out = options_keep(reader->options, text, size);
    return *out != NULL ? DNS_OK : DNS_ENOMEM;
}

/* The path from the folder that it is relative to. */
static dns_status_t
find_path(const options_reader_t *reader, const option_t *option,
          const char *value, char out[static PATH_SIZE])
{
    const store_folders_t *folders = reader->folders;
    const char *folder = folders == NULL          ? NULL
                         : option->kind == FOLDER ? folders->data
                                                  : folders->conf;
    const bool is_relative = value[0] != '/' && folder != NULL;
    const int size =
        snprintf(out, PATH_SIZE, "%s%s%s", is_relative ? folder : "",
                 is_relative ? "/" : "", value);

    return size < PATH_SIZE
               ? DNS_OK
               : options_complain(reader, value, "too long a path");
}

static dns_status_t
set_path(const options_reader_t *reader, const option_t *option,
         const char *value)
{
    char path[PATH_SIZE];
    dns_status_t status = find_path(reader, option, value, path);

    if (status != DNS_OK) {
        return status;
    }

    if (option->kind == PATH && access(path, R_OK) != 0) {
        return complain_file(reader, option->name, path);
    }

    return set_text(reader, option, path, strlen(path));
}

/* The first line of a file, so that the password need not stand in the
   configuration. */
static dns_status_t
set_password(const options_reader_t *reader, const option_t *option,
             const char *value)
{
    char path[PATH_SIZE];
    char text[PASSWORD_MAX];
    dns_status_t status = find_path(reader, option, value, path);

    if (status != DNS_OK) {
        return status;
    }

    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return complain_file(reader, option->name, path);
    }

    const char *line = fgets(text, sizeof(text), file);
    const bool has_failed = line == NULL && ferror(file) != 0;

    if (has_failed) {
        status = complain_file(reader, option->name, path);
    }

    fclose(file);
    return has_failed ? status
                      : set_text(reader, option, text,
                                 line == NULL ? 0 : strcspn(text, "\r\n"));
}

/* A unit and its milliseconds. */
static unsigned
read_unit(const char **at)
{
    static const struct {
        const char *name;
        unsigned ms;
    } units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                 {"h", 3600000}, {"d", 86400000}, {"w", 604800000}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        const size_t size = strlen(units[i].name);

        if (strncmp(*at, units[i].name, size) == 0) {
            *at += size;
            return units[i].ms;
        }
    }

    return **at == '\0' ? 1000 : 0;
}

/* A time as nginx writes it: "500ms", "2s", "1h30m", "5" (seconds).  False: it
   is none, or longer than 2^31 - 1 ms. */
static bool
read_time(const char *text, unsigned *ms)
{
    uint64_t sum = 0;
    unsigned before = UINT_MAX;

    if (*text == '\0') {
        return false;
    }

    while (*text != '\0') {
        char *end;
        const bool is_digit = *text >= '0' && *text <= '9';
        const unsigned long number = strtoul(text, &end, 10);
        const char *at = end;
        const unsigned unit = read_unit(&at);

        if (!is_digit || unit == 0 || unit >= before || number > INT_MAX) {
            return false;
        }

        sum += (uint64_t) number * unit;
        before = unit;
        text = at;

        if (sum > INT_MAX) {
            return false;
        }
    }

    *ms = (unsigned) sum;
    return true;
}

static dns_status_t
set_time(const options_reader_t *reader, const option_t *option,
         const char *word, const char *value)
{
    unsigned ms;
    const bool is_time = read_time(value, &ms);

    if (!is_time || (option->kind == TIME && ms == 0) ||
        (option->kind == SECONDS && ms % 1000 != 0)) {
        return options_complain(reader, word, "not a time");
    }

    *(unsigned *) member(reader, option) =
        option->kind == SECONDS ? ms / 1000 : ms;
    return DNS_OK;
}

static dns_status_t
set_number(const options_reader_t *reader, const option_t *option,
           const char *word, const char *value)
{
    char *end;
    const unsigned long number = strtoul(value, &end, 10);

    if (value[0] < '0' || value[0] > '9' || *end != '\0' || number < 1 ||
        number > option->max) {
        return options_complain(reader, word, "not a number within the bounds");
    }

    *(unsigned *) member(reader, option) = (unsigned) number;
    return DNS_OK;
}

static dns_status_t
set_flag(const options_reader_t *reader, const option_t *option,
         const char *value)
{
    const bool is_on = strcmp(value, "on") == 0;

    if (!is_on && strcmp(value, "off") != 0) {
        return options_complain(reader, value, "neither on nor off");
    }

    *(bool *) member(reader, option) = is_on;
    return DNS_OK;
}

static dns_status_t
set_hosts(const options_reader_t *reader, const option_t *option,
          const char *value)
{
    store_hosts_t *hosts = member(reader, option);

    hosts->count = 0;
    return options_add_hosts(reader, hosts, value);
}

static dns_status_t
set_value(const options_reader_t *reader, const option_t *option,
          const char *word, const char *value)
{
    switch (option->kind) {
    case TEXT:
        return option->max != 0 && strlen(value) > option->max
                   ? options_complain(reader, option->name, "too long")
                   : set_text(reader, option, value, strlen(value));
    case PATH:
    case FOLDER:
        return set_path(reader, option, value);
    case TIME:
    case SECONDS:
        return set_time(reader, option, word, value);
    case NUMBER:
        return set_number(reader, option, word, value);
    case FLAG:
        return set_flag(reader, option, value);
    case HOSTS:
        return set_hosts(reader, option, value);
    case PASSWORD:
        return set_password(reader, option, value);
    }

    return DNS_EMALFORMED;
}

static const option_t *
find_option(const char *word, size_t size)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strlen(table[i].name) == size &&
            memcmp(table[i].name, word, size) == 0) {
            return &table[i];
        }
    }

    return NULL;
}

/* word: NAME=VALUE. */
static dns_status_t
set_option(const options_reader_t *reader, const char *word)
{
    const char *equals = strchr(word, '=');
    char name[64];

    if (equals == NULL || equals == word) {
        return options_complain(reader, word, "not of the form NAME=VALUE");
    }

    const size_t size = (size_t) (equals - word);
    const option_t *option = find_option(word, size);

    snprintf(name, sizeof(name), "%.*s", (int) (size < 60 ? size : 60), word);

    if (option == NULL) {
        return options_complain(reader, name, "no such option");
    }

    if (option->stores != BOTH &&
        (option->stores == REDIS) != reader->options->is_redis) {
        return options_complain(reader, name, "not an option of this store");
    }

    return set_value(reader, option, word, equals + 1);
}

static dns_status_t
set_standards(const options_reader_t *reader)
{
    dns_status_t status = DNS_OK;

    reader->options->max_connections = reader->options->is_redis ? 2 : 8;

    for (size_t i = 0; i < OPTION_COUNT && status == DNS_OK; i++) {
        if (table[i].standard != NULL) {
            status =
                set_value(reader, &table[i], table[i].name, table[i].standard);
        }
    }

    return status;
}

/* NAME=VALUE&... behind the "?" of a URL. */
static dns_status_t
set_query(const options_reader_t *reader, const char *query)
{
    dns_status_t status = DNS_OK;

    while (*query != '\0' && status == DNS_OK) {
        const size_t size = strcspn(query, "&");
        const char *word;

        status = options_unescape(reader, &word, query, size);

        if (status == DNS_OK && size > 0) {
            status = set_option(reader, word);
        }

        query += size + (query[size] == '&');
    }

    return status;
}

static dns_status_t
read_all(const options_reader_t *reader, const char *url,
         const char *const *words, size_t count)
{
    const size_t size = strcspn(url, "?");
    dns_status_t status = set_standards(reader);

    if (status == DNS_OK) {
        status = options_read_url(reader, url, size);
    }

    if (status == DNS_OK && url[size] == '?') {
        status = set_query(reader, url + size + 1);
    }

    for (size_t i = 0; i < count && status == DNS_OK; i++) {
        status = set_option(reader, words[i]);
    }

    return status == DNS_OK ? options_check(reader) : status;
}

/* The URL may hold a password: only its scheme is repeated. */
static dns_status_t
complain_scheme(const options_reader_t *reader, const char *url)
{
    char scheme[32];

    snprintf(scheme, sizeof(scheme), "%.*s", (int) strcspn(url, ":/"), url);
    return options_complain(reader, scheme,
                            "neither mysql://... nor redis://...");
}

dns_status_t
store_options_read(store_options_t **out, const char *url,
                   const char *const *words, size_t count,
                   const store_folders_t *folders, char *error)
{
    store_options_t *o = calloc(1, sizeof(*o));
    const options_reader_t reader = {o, folders, error};

    error[0] = '\0';

    if (o == NULL) {
        return DNS_ENOMEM;
    }

    atomic_init(&o->references, 1);
    o->is_redis = strncmp(url, "redis://", 8) == 0;

    dns_status_t status = o->is_redis || strncmp(url, "mysql://", 8) == 0
                              ? read_all(&reader, url, words, count)
                              : complain_scheme(&reader, url);

    if (status != DNS_OK) {
        store_options_release(o);
        return status;
    }

    *out = o;
    return DNS_OK;
}

store_options_t *
store_options_acquire(store_options_t *o)
{
    atomic_fetch_add(&o->references, 1);
    return o;
}

void
store_options_release(store_options_t *o)
{
    if (o == NULL || atomic_fetch_sub(&o->references, 1) > 1) {
        return;
    }

    while (o->texts != NULL) {
        struct store_text *next = o->texts->next;

        free(o->texts);
        o->texts = next;
    }

    free(o);
}

dns_status_t
store_options_set_hosts(store_options_t *o, store_hosts_t *list,
                        const store_hosts_t *hosts)
{
    store_hosts_t copy = *hosts;

    for (unsigned i = 0; i < hosts->count; i++) {
        const char *address = hosts->host[i].address;

        copy.host[i].address = options_keep(o, address, strlen(address));

        if (copy.host[i].address == NULL) {
            return DNS_ENOMEM;
        }
    }

    *list = copy;
    return DNS_OK;
}

bool
store_options_help(unsigned number, store_option_help_t *out)
{
    static const char *const kinds[] = {
        [TEXT] = "TEXT",    [PATH] = "FILE",
        [FOLDER] = "DIR",   [TIME] = "TIME",
        [SECONDS] = "TIME", [NUMBER] = "N",
        [FLAG] = "on|off",  [HOSTS] = "HOST[:PORT],...",
        [PASSWORD] = "FILE"};
    static const char *const stores[] = {
        [BOTH] = "", [MYSQL] = "MySQL", [REDIS] = "Redis"};

    if (number >= OPTION_COUNT) {
        return false;
    }

    const option_t *option = &table[number];

    *out = (store_option_help_t){
        .name = option->name,
        .kind = kinds[option->kind],
        .stores = stores[option->stores],
        .standard = option->standard == NULL ? "" : option->standard,
        .help = option->help,
    };
    return true;
}
