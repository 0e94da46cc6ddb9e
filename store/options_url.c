/* The URL of a networked store. */

#include <stdlib.h>
#include <string.h>

#include "dns/base_n.h"
#include "store/private/options.h"

dns_status_t
options_unescape(const options_reader_t *reader, const char **out,
                 const char *text, size_t size)
{
    char *to = options_keep(reader->options, text, size);

    *out = to;

    if (to == NULL) {
        return DNS_ENOMEM;
    }

    for (size_t i = 0; i < size; i++) {
        const bool is_escape = text[i] == '%' && i + 2 < size &&
                               base_digit(BASE_16, text[i + 1]) >= 0 &&
                               base_digit(BASE_16, text[i + 2]) >= 0;

        *to = text[i];

        if (is_escape) {
            *to = (char) (base_digit(BASE_16, text[i + 1]) << 4 |
                          base_digit(BASE_16, text[i + 2]));
            i += 2;
        }

        to++;
    }

    *to = '\0';
    return DNS_OK;
}

static dns_status_t
read_port(const options_reader_t *reader, const char *text, uint16_t *out)
{
    char *end;
    const unsigned long port = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || port < 1 ||
        port > UINT16_MAX) {
        return options_complain(reader, text, "not a port");
    }

    *out = (uint16_t) port;
    return DNS_OK;
}

/* HOST[:PORT] or [ADDRESS][:PORT]; host: the options' own, changed here. */
static dns_status_t
read_host(const options_reader_t *reader, char *host, store_host_t *out)
{
    const bool has_brackets = host[0] == '[';
    char *address = host + has_brackets;
    char *end = address + strcspn(address, has_brackets ? "]" : ":");
    char *port = end + (has_brackets && *end != '\0');

    if (end == address || (has_brackets && *end == '\0') ||
        (*port != '\0' && *port != ':')) {
        return options_complain(reader, host, "not a host");
    }

    *out = (store_host_t){.address = address};

    const bool has_port = *port == ':';

    *end = '\0';
    return has_port ? read_port(reader, port + 1, &out->port) : DNS_OK;
}

dns_status_t
options_add_hosts(const options_reader_t *reader, store_hosts_t *hosts,
                  const char *text)
{
    dns_status_t status = DNS_OK;

    while (*text != '\0' && status == DNS_OK) {
        const size_t size = strcspn(text, ",");
        char *host = options_keep(reader->options, text, size);

        if (hosts->count == STORE_HOSTS_MAX) {
            return options_complain(reader, text, "too many hosts");
        }

        status = host == NULL
                     ? DNS_ENOMEM
                     : read_host(reader, host, &hosts->host[hosts->count++]);
        text += size + (text[size] == ',');
    }

    return status;
}

/* user[:password] */
static dns_status_t
read_account(const options_reader_t *reader, const char *text, size_t size)
{
    store_options_t *o = reader->options;
    const char *colon = memchr(text, ':', size);
    const size_t user = colon == NULL ? size : (size_t) (colon - text);
    dns_status_t status = DNS_OK;

    if (user > 0) {
        status = options_unescape(reader, &o->user, text, user);
    }

    if (status == DNS_OK && colon != NULL) {
        status =
            options_unescape(reader, &o->password, colon + 1, size - user - 1);
    }

    return status;
}

/* The scheme and what stands behind the account. */
static dns_status_t
set_name(const options_reader_t *reader, const char *url, const char *hosts,
         const char *end)
{
    const size_t scheme = sizeof("mysql://") - 1;
    const size_t rest = (size_t) (end - hosts);
    char *name = options_keep(reader->options, hosts - scheme, scheme + rest);

    if (name == NULL) {
        return DNS_ENOMEM;
    }

    memcpy(name, url, scheme);
    reader->options->name = name;
    return DNS_OK;
}

/* The last "@" before the slash: a password may hold others. */
static const char *
find_hosts(const char *from, const char *end)
{
    for (const char *at = end; at > from; at--) {
        if (at[-1] == '@') {
            return at;
        }
    }

    return from;
}

dns_status_t
options_read_url(const options_reader_t *reader, const char *url, size_t size)
{
    store_options_t *o = reader->options;
    const char *account = url + sizeof("mysql://") - 1;
    const char *end = url + size;
    const char *slash = memchr(account, '/', (size_t) (end - account));
    const char *hosts_end = slash != NULL ? slash : end;
    const char *hosts = find_hosts(account, hosts_end);
    dns_status_t status = set_name(reader, url, hosts, end);

    if (status == DNS_OK && hosts > account) {
        status = read_account(reader, account, (size_t) (hosts - account) - 1);
    }

    if (status == DNS_OK && slash != NULL && slash + 1 < end) {
        status = options_unescape(reader, &o->database, slash + 1,
                                  (size_t) (end - slash) - 1);
    }

    if (status != DNS_OK) {
        return status;
    }

    const char *list = options_keep(o, hosts, (size_t) (hosts_end - hosts));

    return list == NULL ? DNS_ENOMEM
                        : options_add_hosts(reader, &o->hosts, list);
}
