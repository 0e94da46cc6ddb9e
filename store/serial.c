#include "store/serial.h"

#include <time.h>

enum {
    DAY = 86400, /* seconds */
    WEEK = 7 * DAY,
};

/* YYYYMMDDNN of a second's day. */
static uint32_t
day_serial(int64_t second, uint32_t number)
{
    const time_t at = (time_t) second;
    struct tm day;

    gmtime_r(&at, &day);
    return (uint32_t) (((day.tm_year + 1900) * 100 + day.tm_mon + 1) * 100 +
                       day.tm_mday) *
               100 +
           number;
}

/* PowerDNS leaves room for two serials of the day of inception, and counts on
   for the two days behind it. */
static uint32_t
inception_increment(int64_t inception, uint32_t serial)
{
    const uint32_t first = day_serial(inception, 1);
    const int64_t above = (int64_t) serial - first;

    if (above < -1) {
        return first;
    }

    if (above < 1) {
        return first + 1;
    }

    return serial > day_serial(inception + 2 * DAY, 99) ? serial : serial + 1;
}

static uint32_t
edited(const store_serial_rule_t *rule, uint32_t serial)
{
    const int64_t inception = rule->now - rule->now % WEEK;

    switch ((store_soa_edit_t) rule->soa_edit) {
    case STORE_SOA_EDIT_INCEPTION_INCREMENT:
        return inception_increment(inception, serial);
    case STORE_SOA_EDIT_INCEPTION_EPOCH:
        return (uint32_t) inception > serial ? (uint32_t) inception : serial;
    case STORE_SOA_EDIT_INCREMENT_WEEKS:
        return serial + (uint32_t) (rule->now / WEEK);
    case STORE_SOA_EDIT_EPOCH:
        return (uint32_t) rule->now;
    default:
        return serial;
    }
}

/* Another serial if it is higher, else one more. */
static uint32_t
at_least(uint32_t wanted, uint32_t serial)
{
    return wanted > serial ? wanted : serial + 1;
}

uint32_t
store_next_serial(const store_serial_rule_t *rule, uint32_t serial)
{
    switch ((store_serial_kind_t) rule->kind) {
    case STORE_SERIAL_DEFAULT:
        return at_least(day_serial(rule->now, 1), serial);
    case STORE_SERIAL_EPOCH:
        return (uint32_t) rule->now;
    case STORE_SERIAL_SOA_EDIT:
        return edited(rule, serial);
    case STORE_SERIAL_EDIT_INCREASE:
        return at_least(rule->soa_edit == STORE_SOA_EDIT_INCEPTION_EPOCH
                            ? (uint32_t) rule->now
                            : edited(rule, serial),
                        serial);
    case STORE_SERIAL_KEEP:
        return serial;
    default:
        return serial + 1;
    }
}
