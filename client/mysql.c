#include "client/mysql.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "client/deadline.h"
#include "client/private/mysql.h"
#include "client/private/mysql_guard.h"

enum { UNWIND_ROUNDS_MAX = 100 /* a call has to end when its time is over */ };

static bool
is_lost(unsigned code)
{
    /* Errors of libmariadb itself: what it read was cut off, or no reply. */
    return (code >= CR_MIN_ERROR && code <= CR_MAX_ERROR) ||
           code == ER_SERVER_SHUTDOWN || code == ER_CONNECTION_KILLED;
}

static void
end_failed(client_mysql_t *c, unsigned code, const char *sqlstate,
           const char *error)
{
    c->has_failed = true;
    c->has_more = false;
    c->code = code;
    c->sqlstate = sqlstate;
    c->error = error;
    c->is_gone = is_lost(code);
    c->state = c->is_gone ? MYSQL_GONE : MYSQL_READY;
}

void
client_mysql_fail(client_mysql_t *c)
{
    const char *refusal = client_mysql_refusal(c->link);

    end_failed(c, mysql_errno(c->link), mysql_sqlstate(c->link),
               mysql_error(c->link));

    if (refusal != NULL) {
        client_mysql_refuse(c, refusal);
    } else if (c->code == CR_PLUGIN_NOT_ALLOWED) {
        /* libmariadb's own words quote what is in its buffer by then. */
        c->error = "the server asks for the password in a way that needs TLS "
                   "or a Unix socket";
    }
}

static void
fail_statement(client_mysql_t *c)
{
    end_failed(c, mysql_stmt_errno(c->statement),
               mysql_stmt_sqlstate(c->statement),
               mysql_stmt_error(c->statement));
}

void
client_mysql_refuse(client_mysql_t *c, const char *error)
{
    end_failed(c, 0, "", error);
    c->is_gone = true;
    c->state = MYSQL_GONE;
}

/* None of them is left on the way: this does not wait. */
void
client_mysql_drop_rows(client_mysql_t *c)
{
    c->walks = false;
    mysql_free_result(c->rows);
    c->rows = NULL;
}

static void
begin(client_mysql_t *c, mysql_state_t state, uint64_t deadline_ms)
{
    const mysql_state_t wanted =
        state == MYSQL_CONNECTING ? MYSQL_NEW : MYSQL_READY;

    if (c->state != wanted) {
        client_mysql_refuse(c, "the connection is lost");
        return;
    }

    if (!c->walks) {
        client_mysql_drop_rows(c);
    }

    c->state = state;
    c->deadline_ms = deadline_ms;
    c->octets = 0;
    c->has_failed = c->is_gone = false;
    c->code = 0;
    c->error = c->sqlstate = "";
}

static void
begin_text(client_mysql_t *c, const char *text, size_t size,
           uint64_t deadline_ms)
{
    c->text = text;
    c->size = size;
    c->has_more = false;
    begin(c, MYSQL_SENDING, deadline_ms);
}

void
client_mysql_begin_connect(client_mysql_t *c, uint64_t deadline_ms)
{
    begin(c, MYSQL_CONNECTING, deadline_ms);
}

void
client_mysql_begin_send(client_mysql_t *c, const char *text, size_t size,
                        uint64_t deadline_ms)
{
    c->reads_on = false;
    begin_text(c, text, size, deadline_ms);
}

void
client_mysql_begin_read(client_mysql_t *c, uint64_t deadline_ms)
{
    c->stores = true;
    begin(c, c->has_more ? MYSQL_NEXT : MYSQL_READING, deadline_ms);
}

void
client_mysql_begin_query(client_mysql_t *c, const char *text, size_t size,
                         uint64_t deadline_ms)
{
    c->reads_on = c->stores = true;
    begin_text(c, text, size, deadline_ms);
}

void
client_mysql_begin_walk(client_mysql_t *c, const char *text, size_t size,
                        uint64_t deadline_ms)
{
    c->reads_on = true;
    c->stores = false;
    begin_text(c, text, size, deadline_ms);
}

void
client_mysql_begin_row(client_mysql_t *c, uint64_t deadline_ms)
{
    begin(c, MYSQL_FETCHING, deadline_ms);
}

void
client_mysql_begin_skip(client_mysql_t *c, uint64_t deadline_ms)
{
    begin(c, MYSQL_SKIPPING, deadline_ms);
}

void
client_mysql_begin_prepare(client_mysql_t *c, MYSQL_STMT *statement,
                           const char *text, uint64_t deadline_ms)
{
    c->statement = statement;
    c->text = text;
    c->size = strlen(text);
    begin(c, MYSQL_PREPARING, deadline_ms);
}

void
client_mysql_begin_execute(client_mysql_t *c, MYSQL_STMT *statement,
                           uint64_t deadline_ms)
{
    c->statement = statement;
    begin(c, MYSQL_EXECUTING, deadline_ms);
}

static bool
is_busy(const client_mysql_t *c)
{
    return c->state >= MYSQL_CONNECTING;
}

static int
start_connect(client_mysql_t *c)
{
    const client_mysql_options_t *o = &c->options;

    return mysql_real_connect_start(&c->connected, c->link, o->address, o->user,
                                    o->password, o->database, o->port,
                                    o->unix_socket, client_mysql_flags(c));
}

/* What libmariadb waits for; 0: its call is over. */
static int
start(client_mysql_t *c)
{
    switch (c->state) {
    case MYSQL_CONNECTING:
        return start_connect(c);
    case MYSQL_SENDING:
        return mysql_send_query_start(&c->result, c->link, c->text,
                                      (unsigned long) c->size);
    case MYSQL_READING:
        return mysql_read_query_result_start(&c->head_result, c->link);
    case MYSQL_NEXT:
        return mysql_next_result_start(&c->result, c->link);
    case MYSQL_STORING:
        return mysql_store_result_start(&c->rows, c->link);
    case MYSQL_FETCHING:
        return mysql_fetch_row_start(&c->row, c->rows);
    case MYSQL_SKIPPING:
        return mysql_free_result_start(c->rows);
    case MYSQL_PREPARING:
        return mysql_stmt_prepare_start(&c->result, c->statement, c->text,
                                        (unsigned long) c->size);
    case MYSQL_EXECUTING:
        return mysql_stmt_execute_start(&c->result, c->statement);
    case MYSQL_STORING_ROWS:
        return mysql_stmt_store_result_start(&c->result, c->statement);
    default:
        return 0;
    }
}

static int
resume(client_mysql_t *c, int ready)
{
    switch (c->state) {
    case MYSQL_CONNECTING:
        return mysql_real_connect_cont(&c->connected, c->link, ready);
    case MYSQL_SENDING:
        return mysql_send_query_cont(&c->result, c->link, ready);
    case MYSQL_READING:
        return mysql_read_query_result_cont(&c->head_result, c->link, ready);
    case MYSQL_NEXT:
        return mysql_next_result_cont(&c->result, c->link, ready);
    case MYSQL_STORING:
        return mysql_store_result_cont(&c->rows, c->link, ready);
    case MYSQL_FETCHING:
        return mysql_fetch_row_cont(&c->row, c->rows, ready);
    case MYSQL_SKIPPING:
        return mysql_free_result_cont(c->rows, ready);
    case MYSQL_PREPARING:
        return mysql_stmt_prepare_cont(&c->result, c->statement, ready);
    case MYSQL_EXECUTING:
        return mysql_stmt_execute_cont(&c->result, c->statement, ready);
    case MYSQL_STORING_ROWS:
        return mysql_stmt_store_result_cont(&c->result, c->statement, ready);
    default:
        return 0;
    }
}

void
client_mysql_cut(client_mysql_t *c)
{
    const my_socket fd = mysql_get_socket(c->link);

    if (fd >= 0) {
        shutdown(fd, SHUT_RDWR);
    }

    for (int i = 0; c->events != 0 && i < UNWIND_ROUNDS_MAX; i++) {
        c->events = resume(c, CLIENT_TIMEOUT);
    }
}

static void
end(client_mysql_t *c)
{
    c->state = MYSQL_READY;
    c->has_more = mysql_more_results(c->link) != 0;
}

/* The head of a result is there: whether it has rows. */
static void
end_head(client_mysql_t *c)
{
    if (mysql_field_count(c->link) == 0) {
        end(c);
    } else if (c->stores) {
        c->state = MYSQL_STORING;
    } else {
        c->rows = mysql_use_result(c->link);
        c->walks = c->rows != NULL;
        c->state = MYSQL_READY;
    }
}

static void
end_fetch(client_mysql_t *c)
{
    if (c->row != NULL) {
        c->state = MYSQL_READY;
        return;
    }

    if (mysql_errno(c->link) != 0) {
        client_mysql_fail(c);
    } else {
        end(c);
    }

    client_mysql_drop_rows(c);
}

/* Of a statement: what follows. */
static void
advance_statement(client_mysql_t *c)
{
    if (c->result != 0) {
        fail_statement(c);
    } else {
        c->state =
            c->state == MYSQL_EXECUTING ? MYSQL_STORING_ROWS : MYSQL_READY;
    }
}

/* libmariadb's call is over: what follows. */
static void
advance(client_mysql_t *c)
{
    switch (c->state) {
    case MYSQL_CONNECTING:
        client_mysql_end_connect(c);
        break;
    case MYSQL_SENDING:
        if (c->result != 0) {
            client_mysql_fail(c);
        } else {
            c->state = c->reads_on ? MYSQL_READING : MYSQL_READY;
        }

        break;
    case MYSQL_READING:
    case MYSQL_NEXT:
        if (c->state == MYSQL_READING ? c->head_result != 0 : c->result != 0) {
            client_mysql_fail(c);
        } else {
            end_head(c);
        }

        break;
    case MYSQL_STORING:
        if (c->rows == NULL) {
            client_mysql_fail(c);
        } else {
            end(c);
        }

        break;
    case MYSQL_FETCHING:
        end_fetch(c);
        break;
    case MYSQL_SKIPPING:
        c->rows = NULL; /* libmariadb has freed it */
        c->walks = false;
        end(c);
        break;
    default:
        advance_statement(c);
    }
}

static uint64_t
end_of(const client_mysql_t *c)
{
    return c->deadline_ms == CLIENT_NO_DEADLINE
               ? CLIENT_NO_DEADLINE
               : c->deadline_ms + deadline_earned(c->octets);
}

/* TLS reads from the socket by itself: octets that wait there now are those
   that move. */
static void
count_tls(const client_mysql_t *c, int ready)
{
    int octets = 0;

    if (c->options.tls != CLIENT_MYSQL_PLAIN && (ready & CLIENT_READ) != 0 &&
        ioctl(mysql_get_socket(c->link), FIONREAD, &octets) == 0) {
        deadline_moved((size_t) octets);
    }
}

static void
move(client_mysql_t *c, int ready)
{
    const uint64_t before = deadline_octets();

    if (c->events == 0) {
        c->events = start(c);
    } else {
        count_tls(c, ready);
        c->events = resume(c, ready);
    }

    c->octets += deadline_octets() - before;
}

client_step_t
client_mysql_step(client_mysql_t *c, int ready, uint64_t now_ms,
                  client_wait_t *wait)
{
    while (is_busy(c)) {
        if ((ready & CLIENT_TIMEOUT) != 0 || now_ms >= end_of(c)) {
            client_mysql_cut(c); /* its reply may come yet */
            client_mysql_refuse(c, "timeout");
            break;
        }

        move(c, ready);
        ready = 0;

        if (c->events != 0) {
            wait->fd = mysql_get_socket(c->link);
            wait->events = c->events & (CLIENT_READ | CLIENT_WRITE);
            wait->deadline_ms = end_of(c);
            return CLIENT_WAIT;
        }

        advance(c);
    }

    return c->has_failed ? CLIENT_ERROR : CLIENT_DONE;
}

client_step_t
client_mysql_finish(client_mysql_t *c)
{
    client_wait_t wait;
    client_step_t step;
    int ready = deadline_left() == 0 ? CLIENT_TIMEOUT : 0;

    while ((step = client_mysql_step(c, ready, client_now_ms(), &wait)) ==
           CLIENT_WAIT) {
        ready = client_wait_poll(&wait);
    }

    return step;
}

MYSQL_RES *
client_mysql_rows(const client_mysql_t *c)
{
    return c->rows;
}

MYSQL_ROW
client_mysql_row(const client_mysql_t *c)
{
    return c->row;
}

bool
client_mysql_has_more(const client_mysql_t *c)
{
    return c->has_more;
}

const char *
client_mysql_error(const client_mysql_t *c)
{
    return c->error;
}

unsigned
client_mysql_code(const client_mysql_t *c)
{
    return c->code;
}

const char *
client_mysql_state(const client_mysql_t *c)
{
    return c->sqlstate;
}

bool
client_mysql_is_gone(const client_mysql_t *c)
{
    return c->is_gone;
}

int
client_mysql_socket(const client_mysql_t *c)
{
    return mysql_get_socket(c->link);
}

MYSQL *
client_mysql_link(const client_mysql_t *c)
{
    return c->link;
}
