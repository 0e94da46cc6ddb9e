#include "ffi/database_ffi.h"

#include <stdlib.h>
#include <string.h>

#include "ffi/private/database.h"

struct dns_ffi_beside {
    store_database_t *store; /* borrowed */
    dns_name_t apex;
    bool has_apex;
    char *json; /* owned: to be set; NULL: it is read */
    char *text; /* owned: that was read */
    char error[STORE_ERROR_SIZE];
};

int
dns_ffi_beside_new(struct dns_ffi_database *database, const uint8_t *apex,
                   const char *json, struct dns_ffi_beside **out)
{
    struct dns_ffi_beside *beside = calloc(1, sizeof(*beside));

    if (beside == NULL) {
        return DNS_ENOMEM;
    }

    beside->store = dns_ffi_database_store(database);
    beside->has_apex = apex != NULL;
    beside->json = json == NULL ? NULL : strdup(json);

    if (json != NULL && beside->json == NULL) {
        free(beside);
        return DNS_ENOMEM;
    }

    if (apex != NULL) {
        dns_name_set(&beside->apex, apex);
    }

    *out = beside;
    return DNS_OK;
}

void
dns_ffi_beside_free(struct dns_ffi_beside *beside)
{
    free(beside->json);
    free(beside->text);
    free(beside);
}

int
dns_ffi_beside_run(void *job)
{
    struct dns_ffi_beside *beside = job;
    const dns_name_t *apex = beside->has_apex ? &beside->apex : NULL;

    return beside->json == NULL
               ? store_database_read_beside(beside->store, apex, &beside->text,
                                            beside->error)
               : store_database_write_beside(beside->store, apex, beside->json,
                                             beside->error);
}

const char *
dns_ffi_beside_text(const struct dns_ffi_beside *beside)
{
    return beside->text == NULL ? "" : beside->text;
}

const char *
dns_ffi_beside_error(const struct dns_ffi_beside *beside)
{
    return beside->error;
}
