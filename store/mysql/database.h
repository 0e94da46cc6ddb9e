#ifndef STORE_MYSQL_DATABASE_H
#define STORE_MYSQL_DATABASE_H

/* The blocking connection to MySQL: database.c reads, write.c
   writes. */

#include "dns/rdata.h"
#include "dns/type.h"
#include "store/buffer.h"
#include "store/mysql/jobs.h"
#include "store/private/database.h"

enum { MY_CONTENT_SIZE = 4 * DNS_RDATA_MAX + 1024 }; /* bytes of one rdata */

typedef struct {
    client_mysql_t *client; /* owned */
    buffer_t inserts;       /* rows that are not sent yet */
    buffer_t unread; /* ", ID": rows that the transaction has found and that
                        cannot be read */
    char content[MY_CONTENT_SIZE];
    size_t longest; /* octets: of the contents in inserts */
    char longest_at[DNS_NAME_TEXT_SIZE + DNS_MNEMONIC_SIZE]; /* its record */
} my_link_t;

static inline client_mysql_t *
my_client(const store_database_t *db)
{
    return ((my_link_t *) db->link)->client;
}

/* For what needs no server, such as quoting. */
static inline MYSQL *
my_of(const store_database_t *db)
{
    return client_mysql_link(my_client(db));
}

/* Runs a statement; its rows are client_mysql_rows() of the client. */
dns_status_t my_run(store_database_t *db, const buffer_t *statement);
dns_status_t my_run_text(store_database_t *db, const char *statement);

/* A statement that ends in the number of the transaction's zone. */
dns_status_t my_run_for_zone(store_database_t *db, const char *before);

/* The same for many rows, which are read one by one: *row NULL: it was the
   last.  my_walk_end() after the last, or sooner; gives status, or what fails
   then. */
dns_status_t my_walk(store_database_t *db, const buffer_t *statement);
dns_status_t my_walk_for_zone(store_database_t *db, const char *before);
dns_status_t my_walk_next(store_database_t *db, MYSQL_ROW *row);
dns_status_t my_walk_end(store_database_t *db, dns_status_t status);

void my_put_quoted(buffer_t *out, MYSQL *mysql, const char *text, size_t size);

/* A name as the layout has it: lower case, no final dot. */
void my_put_name(buffer_t *out, MYSQL *mysql, const uint8_t *name);

/* A statement of a site's own layout, with the zone's name for its "?", which
   it has. */
void my_put_own(buffer_t *out, MYSQL *mysql, const char *query,
                const uint8_t *apex);

/* The zone's number into db->zone_id; lock: what the statement ends with.
   DNS_ENOTFOUND. */
dns_status_t my_find_zone(store_database_t *db, const dns_name_t *apex,
                          const char *lock);

/* Of the driver (private/database.h). */
dns_status_t my_list(store_database_t *db, const dns_name_t *only,
                     store_listing_t *out);

/* The records of a zone's number; conditions may follow. */
extern const char my_rows_text[];

/* The rows of a walk to nodes. */
dns_status_t my_take_rows(store_database_t *db, store_nodes_t *out);

/* What PowerDNS wants of the transaction's zone beside its records. */
dns_status_t my_rectify(store_database_t *db);

/* Of the driver (private/database.h). */
dns_status_t my_begin(store_database_t *db, const dns_name_t *apex,
                      uint64_t *generation);
dns_status_t my_read_names(store_database_t *db, const uint8_t *const *names,
                           size_t count, store_nodes_t *out);
dns_status_t my_create(store_database_t *db);
dns_status_t my_clear(store_database_t *db);
dns_status_t my_drop(store_database_t *db);
dns_status_t my_write_node(store_database_t *db, const dns_name_t *name,
                           const dns_node_t *old, const dns_node_t *node);
dns_status_t my_read_beside(store_database_t *db, const dns_name_t *apex,
                            char **out);
dns_status_t my_write_beside(store_database_t *db, const dns_name_t *apex,
                             const char *json);
dns_status_t my_commit(store_database_t *db, uint64_t *generation);
dns_status_t my_write_parked(store_database_t *db, const store_nodes_t *old,
                             const store_nodes_t *nodes);
void my_abort(store_database_t *db);

#endif
