#ifndef CLIENT_REDIS_LOGIN_H
#define CLIENT_REDIS_LOGIN_H

/* What a connection to Redis begins with: the question to a sentinel, the
   log-in. */

#include "client/redis.h"

/* Puts the commands of the state: REDIS_ASKING_SENTINEL or REDIS_LOGGING_IN.
   false: no memory. */
bool redis_login_begin(redis_client_t *r);

/* Takes a reply to one of them.  false: it says that the connection is of no
   use, and r->error why. */
bool redis_login_take(redis_client_t *r, const redisReply *reply);

#endif
