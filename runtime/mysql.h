#ifndef RESOLUA_RUNTIME_MYSQL_H
#define RESOLUA_RUNTIME_MYSQL_H

/* Set by who knows how to: what libmariadb does on the calling thread ends
   within so many milliseconds from now; 0: no bound any more.  NULL: it is
   bound by libmariadb's own timeouts, each of one octet. */
extern void (*resolua_mysql_bound)(unsigned timeout_ms);

#endif
