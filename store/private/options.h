#ifndef STORE_PRIVATE_OPTIONS_H
#define STORE_PRIVATE_OPTIONS_H

/* The parts of store/options.c. */

#include "store/options.h"

/* Options under way. */
typedef struct {
    store_options_t *options;
    const store_folders_t *folders;
    char *error;
} options_reader_t;

/* A copy that the options own; NULL: no memory. */
char *options_keep(store_options_t *o, const char *text, size_t size);

/* error = "word": what; gives DNS_EMALFORMED. */
dns_status_t options_complain(const options_reader_t *reader, const char *word,
                              const char *what);

/* Adds "HOST[:PORT],...".  Ports that are not named stay 0. */
dns_status_t options_add_hosts(const options_reader_t *reader,
                               store_hosts_t *hosts, const char *text);

/* Everything before the "?" of a URL. */
dns_status_t options_read_url(const options_reader_t *reader, const char *url,
                              size_t size);

/* A copy with each %XX as its octet. */
dns_status_t options_unescape(const options_reader_t *reader, const char **out,
                              const char *text, size_t size);

/* What options have to say together; sets what follows from others. */
dns_status_t options_check(const options_reader_t *reader);

#endif
