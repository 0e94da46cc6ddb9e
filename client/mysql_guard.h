#ifndef CLIENT_MYSQL_GUARD_H
#define CLIENT_MYSQL_GUARD_H

/*
 * What libmariadb does not do by itself, for all of the process's connections
 * by it: a server's greeting is checked before libmariadb parses it; a password
 * is not sent in clear text over plain TCP, whatever plugin the server asks
 * for, nor by way of a public key that came over plain TCP from another host;
 * and calls that block end by a deadline, however slowly octets come.
 */

#include "client/wait.h"

/* Under this name a connection's MARIADB_OPT_USERDATA says why its log-in was
   given up here, as text; none: it was not. */
#define CLIENT_MYSQL_REFUSAL "resolua.refusal"

/* Once for the process; again does nothing. */
CLIENT_EXPORT void client_mysql_guard(void);

/* What libmariadb does on this thread ends within so many milliseconds from
   now; 0: no bound any more. */
CLIENT_EXPORT void client_mysql_bound(unsigned timeout_ms);

/* What has failed on a connection (a MYSQL), in words; borrowed until its next
   call. */
struct st_mysql;
const char *client_mysql_reason(struct st_mysql *link);

#endif
