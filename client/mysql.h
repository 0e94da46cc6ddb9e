#ifndef CLIENT_MYSQL_H
#define CLIENT_MYSQL_H

/*
 * One connection to MySQL or MariaDB as a machine that never waits, on
 * libmariadb's calls that do not block.  All of the process's connections are
 * made here: by the stores for queries (nginx's events wait), by the stores for
 * edits and the command line (poll()), and by scripts (coroutines).
 *
 *     client_mysql_begin_query(c, text, size, deadline_ms);
 *     step = client_mysql_step(c, 0, now_ms, &wait)     (client/wait.h)
 *     CLIENT_DONE: client_mysql_rows(c) has the rows
 *
 * One call at a time.  A call has a deadline, which octets that move put off
 * (client/deadline.h): a large result may take long, a server that sends one
 * octet at a time may not.  After a deadline the connection is of no use.
 *
 * The room's own connections never send a file of ours (LOCAL INFILE), nor a
 * password that others could read (client/private/mysql_guard.h).
 */

#include <mysql.h>
#include <stdbool.h>
#include <stddef.h>

#include "client/wait.h"

typedef enum {
    CLIENT_MYSQL_PLAIN,
    CLIENT_MYSQL_ENCRYPTED, /* by whoever answers */
    CLIENT_MYSQL_VERIFIED,  /* the certificate is of address, by ca_file */
} client_mysql_tls_t;

/* All options of a connection.  Texts: NULL is "none"; borrowed until it is
   connected. */
typedef struct {
    const char *address; /* NULL: unix_socket.  A name is looked up by
                            client_mysql_connect() alone */
    const char *unix_socket;
    const char *user;
    const char *password;
    const char *database;
    const char *charset;           /* NULL: utf8mb4 */
    const char *ca_file;           /* NULL: the system's authorities */
    const char *server_public_key; /* a file with the server's RSA key */
    client_mysql_tls_t tls;
    unsigned long packet_max; /* octets; 0: libmariadb's own bound */
    unsigned lock_wait_s;     /* that a statement waits for a lock: a call that
                                 was given up leaves nothing behind that waits
                                 for long; 0: as the server has it */
    uint16_t port;
    bool has_many_statements; /* in one text, with a result for each */
} client_mysql_options_t;

typedef struct client_mysql_s client_mysql_t;

/* NULL: no memory. */
CLIENT_EXPORT CLIENT_MUST_USE client_mysql_t *
client_mysql_new(const client_mysql_options_t *options);

/* Also in the middle of a call, and NULL; never waits. */
CLIENT_EXPORT void client_mysql_free(client_mysql_t *c);

/* Connects; not with TLS, for which libmariadb blocks. */
CLIENT_EXPORT void client_mysql_begin_connect(client_mysql_t *c,
                                              uint64_t deadline_ms);

/* Connects at once and blocks, for a thread: with TLS, and to hosts by their
   names.  timeout_ms: 0: until the thread's deadline. */
CLIENT_EXPORT client_step_t client_mysql_connect(client_mysql_t *c,
                                                 unsigned timeout_ms);

/* Sends statements; their results are read by client_mysql_begin_read().  text:
   borrowed until the call is over. */
CLIENT_EXPORT void client_mysql_begin_send(client_mysql_t *c, const char *text,
                                           size_t size, uint64_t deadline_ms);

/* Reads a result, with its rows. */
CLIENT_EXPORT void client_mysql_begin_read(client_mysql_t *c,
                                           uint64_t deadline_ms);

/* Both. */
void client_mysql_begin_query(client_mysql_t *c, const char *text, size_t size,
                              uint64_t deadline_ms);

/* The same without the rows: each is read by client_mysql_begin_row(), until
   client_mysql_row() is NULL, or client_mysql_begin_skip() leaves out those
   that follow. */
void client_mysql_begin_walk(client_mysql_t *c, const char *text, size_t size,
                             uint64_t deadline_ms);
void client_mysql_begin_row(client_mysql_t *c, uint64_t deadline_ms);
void client_mysql_begin_skip(client_mysql_t *c, uint64_t deadline_ms);

/* Prepares a statement of mysql_stmt_init(); executes it with what is bound,
   and reads all of its rows. */
void client_mysql_begin_prepare(client_mysql_t *c, MYSQL_STMT *statement,
                                const char *text, uint64_t deadline_ms);
void client_mysql_begin_execute(client_mysql_t *c, MYSQL_STMT *statement,
                                uint64_t deadline_ms);

/* ready: what came of what was waited for, 0 for the first step. */
CLIENT_EXPORT CLIENT_MUST_USE client_step_t client_mysql_step(
    client_mysql_t *c, int ready, uint64_t now_ms, client_wait_t *wait);

/* Steps until the call is over, and waits by poll() meanwhile. */
CLIENT_MUST_USE client_step_t client_mysql_finish(client_mysql_t *c);

/* The rows of the last result; NULL: it has none.  Borrowed until the next
   call. */
CLIENT_EXPORT MYSQL_RES *client_mysql_rows(const client_mysql_t *c);

/* They are not needed any more; not in a walk. */
CLIENT_EXPORT void client_mysql_drop_rows(client_mysql_t *c);

/* The row that was read; NULL: it was the last. */
MYSQL_ROW client_mysql_row(const client_mysql_t *c);

/* Do results follow the one that was read? */
CLIENT_EXPORT bool client_mysql_has_more(const client_mysql_t *c);

/* What failed: words, borrowed until the next call; the number, 0 for what is
   neither libmariadb's nor the server's; and the server's state. */
CLIENT_EXPORT const char *client_mysql_error(const client_mysql_t *c);
CLIENT_EXPORT unsigned client_mysql_code(const client_mysql_t *c);
CLIENT_EXPORT const char *client_mysql_state(const client_mysql_t *c);

/* Was the connection lost, or is it of no use after a deadline, rather than a
   statement refused?  What was asked may be asked once more on a new one. */
CLIENT_EXPORT bool client_mysql_is_gone(const client_mysql_t *c);

CLIENT_EXPORT int client_mysql_socket(const client_mysql_t *c);

/* For what needs no server: quoting, statements, what is known of the last
   result. */
CLIENT_EXPORT MYSQL *client_mysql_link(const client_mysql_t *c);

#endif
