#ifndef CLIENT_REDIS_READER_H
#define CLIENT_REDIS_READER_H

/* hiredis's parser, with bounds for what a server may announce. */

#include <hiredis.h>
#include <stdbool.h>

/* Memory for an array is taken as soon as its size is told. */
enum {
    REDIS_ELEMENTS_MAX = 4 << 20,
    REDIS_LINE_MAX = 64 << 10, /* octets, as Redis itself takes at most */
};

/* An array of more elements is an error of the protocol from now on.  false:
   this hiredis cannot be told so. */
bool redis_bound_reader(redisReader *reader);

/* As redisReaderGetReply(); also an error of the protocol: a line that does not
   end, which hiredis would look through again with each octet. */
int redis_read_reply(redisReader *reader, void **reply);

#endif
