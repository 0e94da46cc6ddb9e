#include <string.h>

#include "ffi/database_ffi.h"
#include "ffi/private/database.h"

_Static_assert((int) DNS_FFI_STORE_ERROR_SIZE == (int) STORE_OPTIONS_ERROR_SIZE,
               "one size of error texts");

int
dns_ffi_store_options_read(const char *url, struct dns_ffi_store_options **out,
                           char *error)
{
    store_options_t *options;
    dns_status_t status =
        store_options_read(&options, url, NULL, 0, NULL, error);

    if (status == DNS_OK) {
        *out = (struct dns_ffi_store_options *) options;
    }

    return status;
}

void
dns_ffi_store_options_release(struct dns_ffi_store_options *options)
{
    store_options_release(&options->store);
}

void
dns_ffi_store_options_info(const struct dns_ffi_store_options *options,
                           struct dns_ffi_store_info *out)
{
    const store_options_t *o = &options->store;

    memset(out, 0, sizeof(*out)); /* Lua compares and prints all octets */
    out->name = o->name;
    out->mirror = o->mirror;
    out->poll_ms = o->poll_ms;
    out->has_own_layout = o->layout.zones != NULL;
}

int
dns_ffi_store_option_find(unsigned number, struct dns_ffi_store_option *out)
{
    store_option_help_t help;

    if (!store_options_help(number, &help)) {
        return 0;
    }

    out->name = help.name;
    out->kind = help.kind;
    out->stores = help.stores;
    out->standard = help.standard;
    out->help = help.help;
    return 1;
}
