#ifndef STORE_MYSQL_GUARD_H
#define STORE_MYSQL_GUARD_H

/*
 * What libmariadb does not do by itself, for all of the process's connections
 * by it: a server's greeting is checked before libmariadb parses it; a password
 * is not sent in clear text over plain TCP, whatever plugin the server asks
 * for, nor by way of a public key that came over plain TCP from another host;
 * and calls that block end by a deadline, however slowly octets come.
 */

#include "dns/status.h"

/* Under this name a connection's MARIADB_OPT_USERDATA says why its log-in was
   given up here, as text; none: it was not. */
#define STORE_MYSQL_REFUSAL "resolua.refusal"

/* Once for the process; again does nothing. */
DNS_EXPORT void store_mysql_guard(void);

/* What libmariadb does on this thread ends within so many milliseconds from
   now; 0: no bound any more. */
DNS_EXPORT void store_mysql_bound(unsigned timeout_ms);

/* What has failed on a connection (a MYSQL), in words; borrowed until its next
   call. */
struct st_mysql;
const char *store_mysql_reason(struct st_mysql *link);

#endif
