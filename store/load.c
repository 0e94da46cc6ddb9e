#include "store/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/type.h"
#include "store/private/edit.h"

enum {
    WARNINGS_MAX = 100,
    PLACES_MIN = 64,
    SENTENCE_SIZE = 4096, /* bytes */
};

/* Appends a sentence; of very many no more than some. */
__attribute__((format(printf, 2, 3))) static void
put_warning(store_load_t *load, const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list arguments;

    if (load->warning_count == WARNINGS_MAX) {
        return;
    }

    load->warning_count++;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    buffer_put(&load->warnings, "%s\n", sentence);
}

/* The number of the file that is being read; *file_count if there is no
   memory. */
static unsigned
file_number(store_load_t *load, const char *name)
{
    for (unsigned i = load->file_count; i-- > 0;) {
        if (strcmp(load->files[i], name) == 0) {
            return i;
        }
    }

    char **files =
        realloc(load->files, (load->file_count + 1u) * sizeof(*files));

    if (files == NULL) {
        return load->file_count;
    }

    load->files = files;
    files[load->file_count] = strdup(name);
    return files[load->file_count] == NULL ? load->file_count
                                           : load->file_count++;
}

static dns_status_t
note_place(store_load_t *load, const dns_zonefile_t *file)
{
    if (load->place_count == load->place_capacity) {
        const size_t capacity =
            load->place_capacity == 0 ? PLACES_MIN : 2 * load->place_capacity;
        store_load_place_t *places =
            realloc(load->places, capacity * sizeof(*places));

        if (places == NULL) {
            return DNS_ENOMEM;
        }

        load->places = places;
        load->place_capacity = capacity;
    }

    const unsigned number = file_number(load, dns_zonefile_name(file));

    if (number == load->file_count) {
        return DNS_ENOMEM;
    }

    load->places[load->place_count++] =
        (store_load_place_t){number, dns_zonefile_line(file)};
    return DNS_OK;
}

/* Other servers leave such records out too; a zone with them is loaded. */
static void
leave_out(store_load_t *load, const dns_zonefile_t *file,
          const dns_record_t *record)
{
    char owner[DNS_NAME_TEXT_SIZE];

    dns_name_to_text(owner, record->owner);
    put_warning(load,
                "%s:%u: warning: %.300s lies outside the zone, and its record "
                "is left out",
                dns_zonefile_name(file), dns_zonefile_line(file), owner);
}

/* One record of a master file; where and why it does not fit the zone. */
static dns_status_t
add_record(store_load_t *load, store_edit_t *edit, const dns_zonefile_t *file,
           const dns_record_t *record, char *error)
{
    dns_status_t status = DNS_EMALFORMED;
    const char *reason = "only class IN is served";

    if (!dns_name_is_within(record->owner, edit->apex.octets)) {
        leave_out(load, file, record);
        return DNS_OK;
    }

    if (record->class_ == DNS_CLASS_IN) {
        status = store_edit_load(edit, record->owner, record->type, record->ttl,
                                 record->rdata, record->rdata_size);
        reason = dns_status_text(status);
    }

    if (status != DNS_OK) {
        snprintf(error, STORE_ERROR_SIZE, "%s:%u: %s", dns_zonefile_name(file),
                 dns_zonefile_line(file), reason);
        return status;
    }

    return note_place(load, file);
}

static dns_status_t
add_records(store_load_t *load, store_edit_t *edit, dns_zonefile_t *file,
            char *error)
{
    dns_record_t record;
    dns_status_t status;

    while ((status = dns_zonefile_next(file, &record)) == DNS_OK) {
        if (dns_zonefile_warning(file)[0] != '\0') {
            put_warning(load, "%s", dns_zonefile_warning(file));
        }

        status = add_record(load, edit, file, &record, error);

        if (status != DNS_OK) {
            return status;
        }
    }

    if (status == DNS_ENOTFOUND) {
        return DNS_OK;
    }

    snprintf(error, STORE_ERROR_SIZE, "%s", dns_zonefile_error(file));
    return status;
}

dns_status_t
store_load_zonefile(store_load_t *load, store_edit_t *edit,
                    const dns_zonefile_options_t *options, char *error)
{
    dns_zonefile_t *file;
    dns_status_t status = dns_zonefile_open(&file, options);

    load->first = store_edit_size(edit);

    if (status == DNS_OK) {
        status = add_records(load, edit, file, error);
    } else {
        snprintf(error, STORE_ERROR_SIZE, "%s",
                 file != NULL ? dns_zonefile_error(file) : "out of memory");
        status = DNS_EMALFORMED;
    }

    dns_zonefile_free(file);
    return status;
}

void
store_load_committed(store_load_t *load, const store_edit_t *edit)
{
    store_edit_ttls_t ttls;

    for (size_t at = 0; store_edit_next_ttls(edit, &at, &ttls);) {
        char owner[DNS_NAME_TEXT_SIZE];
        char type[DNS_MNEMONIC_SIZE];

        if (ttls.order - load->first >= load->place_count) {
            continue;
        }

        dns_name_to_text(owner, ttls.owner);
        dns_type_to_text(type, ttls.type);
        const store_load_place_t *place =
            &load->places[ttls.order - load->first];

        put_warning(load,
                    "%s:%u: warning: %.300s %s has the TTLs %u and %u: a "
                    "record set has one, and the lowest is used",
                    load->files[place->file], place->line, owner, type,
                    ttls.ttls[0], ttls.ttls[1]);
    }
}

void
store_load_free(store_load_t *load)
{
    for (unsigned i = 0; i < load->file_count; i++) {
        free(load->files[i]);
    }

    free(load->files);
    free(load->places);
    buffer_free(&load->warnings);
    *load = (store_load_t){0};
}
