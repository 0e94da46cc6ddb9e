#ifndef STORE_PRIVATE_DATABASE_H
#define STORE_PRIVATE_DATABASE_H

/* What store_database_*() needs of one kind of database.  All of it runs under
   the database's lock; error is where a failure is told. */

#include <pthread.h>

#include "store/database.h"
#include "store/private/edit.h"
#include "store/records.h"

/* Of a call as a whole, which has several queries and may wait for locks: so
   many times "timeout", which is of one query.  What has to move many octets
   has longer, as long as they do move. */
enum { DATABASE_TIMEOUTS = 5, DATABASE_TIMEOUT_MIN_MS = 2000 };

typedef struct {
    dns_status_t (*connect)(store_database_t *db, const char *host,
                            uint16_t port);
    void (*close)(store_database_t *db);
    /* All zones, or one alone (not NULL) if it is there. */
    dns_status_t (*list)(store_database_t *db, const dns_name_t *only,
                         store_listing_t *out);
    /* The zone that read_parked() is about.  DNS_ENOTFOUND. */
    dns_status_t (*find)(store_database_t *db, const dns_name_t *apex);
    /* All nodes of the zone, or that of name alone (not NULL). */
    dns_status_t (*read)(store_database_t *db, const dns_name_t *apex,
                         const dns_name_t *name, store_nodes_t *out);

    /* A transaction over one zone.  DNS_ENOTFOUND: there is no such zone; the
       transaction is begun all the same. */
    dns_status_t (*begin)(store_database_t *db, const dns_name_t *apex,
                          uint64_t *generation);
    /* The nodes of names, in wire form; sorted by the caller. */
    dns_status_t (*read_names)(store_database_t *db,
                               const uint8_t *const *names, size_t count,
                               store_nodes_t *out);
    dns_status_t (*create)(store_database_t *db); /* the zone */
    /* Its records, but for those that could not be shown to whoever replaces
       the zone. */
    dns_status_t (*clear)(store_database_t *db);
    dns_status_t (*drop)(store_database_t *db); /* all of it */
    dns_status_t (*write)(store_database_t *db, const dns_name_t *name,
                          const dns_node_t *old, const dns_node_t *node);
    /* Adds the zone's parked records (store/parked.h), at the least those of
       the owners of an edit (not NULL), or writes what has become of them; the
       caller sorts.  After begin, or under use of a zone. */
    dns_status_t (*read_parked)(store_database_t *db, const store_edit_t *only,
                                store_nodes_t *out);
    dns_status_t (*write_parked)(store_database_t *db, const store_nodes_t *old,
                                 const store_nodes_t *nodes);
    /* What a transaction has read is certain only with its commit, which
       therefore follows where nothing is changed as well. */
    bool reads_without_locks;
    /* *generation: of the zone as the transaction leaves it; 0: it is gone. */
    dns_status_t (*commit)(store_database_t *db, uint64_t *generation);
    void (*abort)(store_database_t *db);

    /* As store/database.h has them; NULL: there is nothing beside records. */
    dns_status_t (*read_beside)(store_database_t *db, const dns_name_t *apex,
                                char **out);
    dns_status_t (*write_beside)(store_database_t *db, const dns_name_t *apex,
                                 const char *json);
} database_driver_t;

extern const database_driver_t database_mysql;
extern const database_driver_t database_redis;

struct store_database_s {
    store_options_t *options; /* acquired */
    bool marks_rows;
    const database_driver_t *driver;
    store_records_t *records; /* owned */
    pthread_mutex_t lock;
    void *link;         /* the driver's; NULL: not connected */
    char *error;        /* borrowed while a call runs */
    bool is_committing; /* the last statement was sent */
    bool is_overtaken;  /* the database has taken the transaction back, for
                           the sake of another one: begin again */
    uint64_t skipped;
    store_left_out_t *left_out; /* borrowed while a call runs; NULL: only
                                   counted */

    /* The changes of the name that is being written; borrowed. */
    const store_edit_t *edit;
    size_t first;
    size_t end;

    /* Of the transaction. */
    dns_name_t apex;
    uint32_t zone_id;   /* MySQL */
    bool reads_parked;  /* MySQL: the sixth column is the type, or 0 */
    bool writes_parked; /* MySQL: rows are written that are not served */
};

/* Does the edit replace or remove the whole set that is being written?  If not,
   what of it cannot be read stays. */
bool database_resets(const store_database_t *db, uint16_t type);

/* Counts and notes what is not served: a name, and a type if it is known. */
void database_leave_out(store_database_t *db, const char *what,
                        const char *reason);

/* Milliseconds that a call has. */
unsigned database_timeout_ms(const store_database_t *db);

/* error = text; gives status. */
dns_status_t database_fail(store_database_t *db, dns_status_t status,
                           const char *text);

/* Where the records of a JSON text go: a store_record_visit_t and its data.
   What is not served is counted in db->skipped. */
typedef struct {
    store_database_t *db;
    store_nodes_t *out;
    const uint8_t *name;
    dns_status_t status; /* DNS_OK, DNS_ENOMEM */
} database_taking_t;

void database_take_record(void *data, const store_record_t *record,
                          const char *reason);

/* Connects if need be. */
dns_status_t database_connect(store_database_t *db);

/* After DNS_ESTORE: the connection is not used again. */
void database_close(store_database_t *db);

/* Adds a zone to a listing.  soa: as its generation is told by it. */
dns_status_t database_list_zone(store_listing_t *out, const uint8_t *apex,
                                uint32_t serial, uint64_t generation);

/* What tells one state of a zone from another. */
uint64_t database_generation(const char *soa, size_t size);

#endif
