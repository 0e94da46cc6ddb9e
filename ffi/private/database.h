#ifndef FFI_PRIVATE_DATABASE_H
#define FFI_PRIVATE_DATABASE_H

/* For C that works on what Lua holds. */

#include "store/database.h"

struct dns_ffi_database;

struct dns_ffi_store_options {
    store_options_t store;
};

/* Borrowed: lives until dns_ffi_database_free(). */
store_database_t *
dns_ffi_database_store(const struct dns_ffi_database *database);

#endif
