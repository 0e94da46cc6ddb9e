#ifndef STORE_SERIAL_H
#define STORE_SERIAL_H

/*
 * The serial that an edit gives to a zone's SOA, by the rules that PowerDNS
 * calls SOA-EDIT-API and SOA-EDIT, which compare serials as plain numbers.
 */

#include <stdint.h>

#include "dns/status.h"

/* SOA-EDIT: what a serial would be for those who look at it. */
typedef enum {
    STORE_SOA_EDIT_NONE,
    STORE_SOA_EDIT_INCEPTION_INCREMENT, /* YYYYMMDD of the week's Thursday */
    STORE_SOA_EDIT_INCEPTION_EPOCH,     /* that day in seconds */
    STORE_SOA_EDIT_INCREMENT_WEEKS,     /* weeks since 1970 are added */
    STORE_SOA_EDIT_EPOCH,               /* seconds */
} store_soa_edit_t;

/* SOA-EDIT-API: the next serial. */
typedef enum {
    STORE_SERIAL_INCREASE,      /* one more */
    STORE_SERIAL_DEFAULT,       /* YYYYMMDD01, or one more */
    STORE_SERIAL_EPOCH,         /* seconds */
    STORE_SERIAL_SOA_EDIT,      /* what SOA-EDIT says */
    STORE_SERIAL_EDIT_INCREASE, /* that if it is higher, or one more */
    STORE_SERIAL_KEEP,          /* the same */
    STORE_SERIAL_KINDS,
} store_serial_kind_t;

typedef struct {
    uint8_t kind;     /* store_serial_kind_t */
    uint8_t soa_edit; /* store_soa_edit_t */
    int64_t now;      /* seconds since 1970, UTC */
} store_serial_rule_t;

uint32_t store_next_serial(const store_serial_rule_t *rule, uint32_t serial);

#endif
