#ifndef STORE_LOAD_H
#define STORE_LOAD_H

/*
 * A master file into an edit.
 *
 *     store_load_t load = {0};
 *     status = store_load_zonefile(&load, edit, &options, error);
 *     ... commit the edit ...
 *     store_load_committed(&load, edit);
 *     ... load.warnings ...
 *     store_load_free(&load);
 */

#include "dns/zonefile.h"
#include "store/buffer.h"
#include "store/edit.h"

/* Where a record stood. */
typedef struct {
    unsigned file; /* of files */
    unsigned line;
} store_load_place_t;

/* Starts as {0}. */
typedef struct {
    buffer_t warnings; /* a sentence a line, "FILE:LINE: warning: ..." */
    unsigned warning_count;
    char **files; /* owned, and the names */
    unsigned file_count;
    store_load_place_t *places; /* owned: of the records, as they came */
    size_t place_count;
    size_t place_capacity;
    size_t first; /* changes of the edit before those of the file */
} store_load_t;

/* Adds the file's records to the edit.  error: STORE_ERROR_SIZE bytes: where
   and why it cannot be read, or does not fit the zone. */
DNS_MUST_USE dns_status_t
store_load_zonefile(store_load_t *load, store_edit_t *edit,
                    const dns_zonefile_options_t *options, char *error);

/* Warns of what the commit has found. */
void store_load_committed(store_load_t *load, const store_edit_t *edit);

void store_load_free(store_load_t *load);

#endif
