/* A row of a prepared statement, octet by octet: libmariadb's own reading
   trusts the sizes that the server tells (MySQL's documentation, Binary
   Protocol Resultset Row). */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/mysql/jobs.h"

enum {
    NULLS_AT = 1,      /* behind the packet's mark */
    NULLS_FIRST = 2,   /* the bit of the first column */
    NUMBER_SIZE = 32,  /* bytes of a number as text */
    SIZE_NEXT_2 = 252, /* the size stands in so many octets behind */
    SIZE_NEXT_3 = 253,
    SIZE_NEXT_8 = 254,
};

/* What is left of the row. */
typedef struct {
    const uint8_t *at;
    size_t size;
} octets_t;

/* A value: a text, or a number. */
typedef struct {
    const char *text; /* NULL: a number */
    size_t size;
    int64_t number;
} value_t;

static const uint8_t *
take(octets_t *octets, uint64_t size)
{
    const uint8_t *at = octets->at;

    if (size > octets->size) {
        return NULL;
    }

    octets->at += size;
    octets->size -= (size_t) size;
    return at;
}

/* Little endian. */
static bool
take_number(octets_t *octets, unsigned size, uint64_t *out)
{
    const uint8_t *at = take(octets, size);

    *out = 0;

    for (unsigned i = 0; at != NULL && i < size; i++) {
        *out |= (uint64_t) at[i] << (8 * i);
    }

    return at != NULL;
}

static bool
take_text(octets_t *octets, value_t *value)
{
    uint64_t size;

    if (!take_number(octets, 1, &size) ||
        (size == SIZE_NEXT_2 && !take_number(octets, 2, &size)) ||
        (size == SIZE_NEXT_3 && !take_number(octets, 3, &size)) ||
        (size == SIZE_NEXT_8 && !take_number(octets, 8, &size))) {
        return false;
    }

    value->text = (const char *) take(octets, size);
    value->size = (size_t) size;
    return value->text != NULL;
}

static bool
take_integer(octets_t *octets, const MYSQL_FIELD *field, unsigned size,
             value_t *value)
{
    const unsigned unused = 64 - 8 * size;
    uint64_t bits;

    if (!take_number(octets, size, &bits)) {
        return false;
    }

    value->number = (field->flags & UNSIGNED_FLAG) != 0
                        ? (int64_t) bits
                        : (int64_t) (bits << unused) >> unused;
    return true;
}

static bool
take_real(octets_t *octets, unsigned size, value_t *value)
{
    const uint8_t *at = take(octets, size);
    float single = 0;
    double number = 0;

    if (at == NULL) {
        return false;
    }

    if (size == sizeof(single)) {
        memcpy(&single, at, size);
        number = (double) single;
    } else {
        memcpy(&number, at, size);
    }

    value->number = fabs(number) < 1e18 ? (int64_t) number : -1;
    return true;
}

/* false: it is cut off, or of a type that no column of ours has. */
static bool
take_value(octets_t *octets, const MYSQL_FIELD *field, value_t *value)
{
    *value = (value_t){NULL, 0, 0};

    switch (field->type) {
    case MYSQL_TYPE_TINY:
        return take_integer(octets, field, 1, value);
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_YEAR:
        return take_integer(octets, field, 2, value);
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
        return take_integer(octets, field, 4, value);
    case MYSQL_TYPE_LONGLONG:
        return take_integer(octets, field, 8, value);
    case MYSQL_TYPE_FLOAT:
        return take_real(octets, sizeof(float), value);
    case MYSQL_TYPE_DOUBLE:
        return take_real(octets, sizeof(double), value);
    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL:
    case MYSQL_TYPE_VARCHAR:
    case MYSQL_TYPE_VAR_STRING:
    case MYSQL_TYPE_STRING:
    case MYSQL_TYPE_TINY_BLOB:
    case MYSQL_TYPE_MEDIUM_BLOB:
    case MYSQL_TYPE_LONG_BLOB:
    case MYSQL_TYPE_BLOB:
    case MYSQL_TYPE_ENUM:
    case MYSQL_TYPE_SET:
    case MYSQL_TYPE_JSON:
    case MYSQL_TYPE_BIT:
        return take_text(octets, value);
    default:
        return false;
    }
}

/* *size: of the whole text, however much of it fits. */
static void
put_text(char *out, size_t room, const value_t *value, unsigned long *size)
{
    char number[NUMBER_SIZE];
    value_t text = *value;

    if (text.text == NULL) {
        text.size = (size_t) snprintf(number, sizeof(number), "%" PRId64,
                                      value->number);
        text.text = number;
    }

    memcpy(out, text.text, text.size < room ? text.size : room);
    *size = (unsigned long) text.size;
}

static int64_t
number_of(const value_t *value)
{
    char text[NUMBER_SIZE];

    if (value->text == NULL) {
        return value->number;
    }

    snprintf(text, sizeof(text), "%.*s",
             (int) (value->size < sizeof(text) ? value->size : sizeof(text)),
             value->text);
    return strtoll(text, NULL, 10);
}

static void
put_column(mysql_row_t *row, unsigned column, const value_t *value)
{
    unsigned long *size = &row->sizes[column];

    row->is_null[column] = false;

    switch (column) {
    case COLUMN_NAME:
        put_text(row->name, sizeof(row->name), value, size);
        break;
    case COLUMN_TYPE:
        put_text(row->type, sizeof(row->type), value, size);
        break;
    case COLUMN_CONTENT:
        put_text(row->content, sizeof(row->content), value, size);
        break;
    case COLUMN_TTL:
        row->ttl = number_of(value);
        break;
    case COLUMN_PRIO:
        row->prio = number_of(value);
        break;
    case COLUMN_ID:
        row->id = (uint64_t) number_of(value);
        break;
    default:
        row->zone_id = (int32_t) number_of(value);
        break;
    }
}

bool
mysql_row_take(mysql_row_t *row, const MYSQL_STMT *statement,
               const MYSQL_ROWS *packet)
{
    const unsigned count = statement->field_count;
    octets_t octets = {(const uint8_t *) packet->data, packet->length};
    const uint8_t *head =
        take(&octets, NULLS_AT + (count + NULLS_FIRST + 7u) / 8);

    for (unsigned i = 0; i < MYSQL_COLUMNS; i++) {
        row->is_null[i] = true;
        row->sizes[i] = 0;
    }

    if (head == NULL || head[0] != 0) {
        return false;
    }

    for (unsigned i = 0; i < count; i++) {
        const unsigned bit = i + NULLS_FIRST;
        value_t value;

        if ((head[NULLS_AT + bit / 8] >> bit % 8 & 1) != 0) {
            continue;
        }

        if (!take_value(&octets, &statement->fields[i], &value)) {
            return false;
        }

        put_column(row, i, &value);
    }

    return true;
}
