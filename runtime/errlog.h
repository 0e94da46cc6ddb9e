#ifndef RESOLUA_RUNTIME_ERRLOG_H
#define RESOLUA_RUNTIME_ERRLOG_H

/* ngx.errlog, and the error log's last lines for it (lua_capture_error_log):
   those of the cycle's log, which is every server's that has no error_log of
   its own.  Each worker keeps its own. */

#include <ngx_config.h>
#include <ngx_core.h>

/* While a cycle is made: keeps up to size octets of lines; 0: none. */
ngx_int_t resolua_errlog_init(ngx_cycle_t *cycle, size_t size);

/* What is kept for the cycle before, for when the new one is refused. */
void *resolua_errlog_current(void);
void resolua_errlog_restore(void *current);

#endif
