#ifndef CLIENT_PRIVATE_MYSQL_GUARD_H
#define CLIENT_PRIVATE_MYSQL_GUARD_H

/*
 * What libmariadb does not do by itself, for all of the process's connections
 * by it: a server's greeting is checked before libmariadb parses it; a password
 * is not sent in clear text over plain TCP, whatever plugin the server asks
 * for, nor by way of a public key that came over plain TCP from another host;
 * and calls that block end by the thread's deadline (client/deadline.h),
 * however slowly octets come.
 */

#include <mysql.h>

/* Once for the process; again does nothing. */
void client_mysql_guard(void);

/* Why a log-in was given up here, in words; NULL: it was not. */
const char *client_mysql_refusal(MYSQL *link);

#endif
