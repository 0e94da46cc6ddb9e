#include "client/redis_reader.h"

#include <pthread.h>
#include <string.h>

static redisReplyObjectFunctions plain;
static redisReplyObjectFunctions bounded;

static void *
create_array(const redisReadTask *task, int elements)
{
    return elements > REDIS_ELEMENTS_MAX ? NULL
                                         : plain.createArray(task, elements);
}

static void
prepare(void)
{
    redisReader *reader = redisReaderCreate();

    if (reader != NULL) {
        plain = *reader->fn;
        bounded = plain;
        bounded.createArray = create_array;
        redisReaderFree(reader);
    }
}

bool
redis_bound_reader(redisReader *reader)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void) pthread_once(&once, prepare);

    if (reader == NULL || bounded.createArray == NULL) {
        return false;
    }

    reader->fn = &bounded;
    return true;
}

int
redis_read_reply(redisReader *reader, void **reply)
{
    /* What is not parsed yet begins with a line, be it that of a size. */
    if (reader->err == 0 && reader->len - reader->pos > REDIS_LINE_MAX &&
        memchr(reader->buf + reader->pos, '\n', REDIS_LINE_MAX) == NULL) {
        reader->err = REDIS_ERR_PROTOCOL;
        strcpy(reader->errstr, "a line without an end");
        return REDIS_ERR;
    }

    return redisReaderGetReply(reader, reply);
}
