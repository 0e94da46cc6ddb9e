#include <stdlib.h>

#include "ffi/database_ffi.h"
#include "ffi/private/database.h"
#include "ffi/store.h"
#include "store/mirror.h"

struct dns_ffi_mirror {
    store_mirror_t *mirror; /* owned */
};

struct dns_ffi_mirror_run {
    store_mirror_t *mirror; /* borrowed */
    dns_name_t apex;
    bool has_apex;
    store_mirror_report_t report;
    char error[STORE_ERROR_SIZE];
};

int
dns_ffi_mirror_new(struct dns_ffi_database *database,
                   struct dns_ffi_store *store, const char *state_path,
                   const char *name, struct dns_ffi_mirror **out)
{
    const store_mirror_options_t options = {
        .database = dns_ffi_database_store(database),
        .lmdb = dns_ffi_store_lmdb(store),
        .state_path = state_path,
        .name = name,
    };
    struct dns_ffi_mirror *mirror = calloc(1, sizeof(*mirror));

    if (mirror == NULL) {
        return DNS_ENOMEM;
    }

    dns_status_t status = store_mirror_new(&mirror->mirror, &options);

    if (status != DNS_OK) {
        free(mirror);
        return status;
    }

    *out = mirror;
    return DNS_OK;
}

void
dns_ffi_mirror_free(struct dns_ffi_mirror *mirror)
{
    store_mirror_free(mirror->mirror);
    free(mirror);
}

int
dns_ffi_mirror_run_new(struct dns_ffi_mirror *mirror, const uint8_t *apex,
                       struct dns_ffi_mirror_run **out)
{
    struct dns_ffi_mirror_run *run = calloc(1, sizeof(*run));

    if (run == NULL) {
        return DNS_ENOMEM;
    }

    run->mirror = mirror->mirror;
    run->has_apex = apex != NULL;

    if (apex != NULL) {
        dns_name_set(&run->apex, apex);
    }

    *out = run;
    return DNS_OK;
}

void
dns_ffi_mirror_run_free(struct dns_ffi_mirror_run *run)
{
    free(run);
}

int
dns_ffi_mirror_run(void *job)
{
    struct dns_ffi_mirror_run *run = job;

    return store_mirror_run(run->mirror, run->has_apex ? &run->apex : NULL,
                            &run->report, run->error);
}

const char *
dns_ffi_mirror_report(const struct dns_ffi_mirror_run *run,
                      struct dns_ffi_mirror_report *out)
{
    out->zones = run->report.zones;
    out->copied = run->report.copied;
    out->removed = run->report.removed;
    out->refused = run->report.refused;
    out->skipped = run->report.left_out.count;
    return run->error;
}

const char *
dns_ffi_mirror_left_out(const struct dns_ffi_mirror_run *run)
{
    return run->report.left_out.text;
}
