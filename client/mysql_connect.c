/* What a connection to MySQL is: its options, and how it is made and ends. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "client/deadline.h"
#include "client/private/mysql.h"
#include "client/private/mysql_guard.h"

enum { TEXT_SIZE = 128 };

static void
set_tls(MYSQL *link, const client_mysql_options_t *o)
{
    my_bool yes = 1;

    if (o->tls == CLIENT_MYSQL_PLAIN) {
        return;
    }

    mysql_ssl_set(link, NULL, NULL, o->ca_file, NULL, NULL);
    mysql_options(link, MYSQL_OPT_SSL_ENFORCE, &yes);

    if (o->tls == CLIENT_MYSQL_VERIFIED) {
        mysql_options(link, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    }
}

/* A statement that was given up is not left to wait in the database until a
   table or a row is free again. */
static void
set_lock_wait(MYSQL *link, unsigned seconds)
{
    char text[TEXT_SIZE];

    snprintf(text, sizeof(text),
             "SET SESSION lock_wait_timeout = %u, innodb_lock_wait_timeout = "
             "%u",
             seconds, seconds);
    mysql_options(link, MYSQL_INIT_COMMAND, text);
}

static void
set_options(MYSQL *link, const client_mysql_options_t *o)
{
    /* Without it, "localhost" would be a socket of libmariadb's choice. */
    const unsigned protocol =
        o->address != NULL ? MYSQL_PROTOCOL_TCP : MYSQL_PROTOCOL_SOCKET;
    const unsigned no = 0;

    mysql_options(link, MYSQL_OPT_NONBLOCK, NULL);
    mysql_options(link, MYSQL_OPT_PROTOCOL, &protocol);
    /* A server could else ask for any file of ours. */
    mysql_options(link, MYSQL_OPT_LOCAL_INFILE, &no);
    mysql_options(link, MYSQL_SET_CHARSET_NAME,
                  o->charset != NULL ? o->charset : "utf8mb4");

    if (o->server_public_key != NULL) {
        mysql_options(link, MYSQL_SERVER_PUBLIC_KEY, o->server_public_key);
    }

    if (o->packet_max != 0) {
        mysql_options(link, MYSQL_OPT_MAX_ALLOWED_PACKET, &o->packet_max);
    }

    if (o->lock_wait_s != 0) {
        set_lock_wait(link, o->lock_wait_s);
    }

    set_tls(link, o);
}

client_mysql_t *
client_mysql_new(const client_mysql_options_t *options)
{
    client_mysql_t *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        return NULL;
    }

    client_mysql_guard();
    c->options = *options;
    c->link = mysql_init(NULL);
    c->error = c->sqlstate = "";

    if (c->link == NULL) {
        free(c);
        return NULL;
    }

    set_options(c->link, options);
    return c;
}

void
client_mysql_free(client_mysql_t *c)
{
    if (c == NULL) {
        return;
    }

    /* The farewell to a connection in the middle of a call could block. */
    if (c->state != MYSQL_READY || c->walks) {
        client_mysql_cut(c);
    }

    mysql_free_result(c->rows);
    mysql_close(c->link);
    free(c);
}

unsigned long
client_mysql_flags(const client_mysql_t *c)
{
    return c->options.has_many_statements
               ? CLIENT_MULTI_STATEMENTS | CLIENT_MULTI_RESULTS
               : 0;
}

void
client_mysql_end_connect(client_mysql_t *c)
{
    int yes = 1;

    if (c->connected == NULL) {
        client_mysql_fail(c);
        c->state = MYSQL_GONE;
        return;
    }

    c->state = MYSQL_READY;

    if (c->options.tls == CLIENT_MYSQL_PLAIN) {
        return;
    }

    /* libmariadb goes on in the clear where the server has no TLS, unless it
       verifies. */
    if (mysql_get_ssl_cipher(c->link) == NULL) {
        client_mysql_refuse(c, "ssl disabled on server");
    }

    /* It reads TLS as the socket is: that does not block from here on. */
    (void) ioctl(mysql_get_socket(c->link), FIONBIO, &yes);
}

/* Only connecting itself counts by these; what follows waits by the thread's
   deadline. */
static void
set_timeouts(MYSQL *link)
{
    const int left = deadline_left();
    const unsigned seconds = left < 0 ? 0 : (unsigned) left / 1000 + 1;

    if (seconds > 0) {
        mysql_options(link, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
        mysql_options(link, MYSQL_OPT_READ_TIMEOUT, &seconds);
        mysql_options(link, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
    }
}

client_step_t
client_mysql_connect(client_mysql_t *c, unsigned timeout_ms)
{
    const client_mysql_options_t *o = &c->options;

    if (timeout_ms > 0) {
        deadline_begin(timeout_ms);
    }

    c->has_failed = c->is_gone = false;
    set_timeouts(c->link);
    c->connected = mysql_real_connect(c->link, o->address, o->user, o->password,
                                      o->database, o->port, o->unix_socket,
                                      client_mysql_flags(c));
    client_mysql_end_connect(c);

    if (timeout_ms > 0) {
        deadline_end();
    }

    return c->has_failed ? CLIENT_ERROR : CLIENT_DONE;
}
