/* Commands and replies for who may block, on sockets that do not: each wait
   ends with the deadline of the call. */

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "client/deadline.h"
#include "store/redis/database.h"
#include "store/redis/reader.h"

enum { READ_SIZE = 16 * 1024 }; /* octets: a record of TLS */

static void
set_error(redisContext *redis, const char *text)
{
    redis->err = REDIS_ERR_IO;
    snprintf(redis->errstr, sizeof(redis->errstr), "%s", text);
}

bool
redis_set_nonblocking(const redis_node_t *node)
{
    const int fd = node->redis->fd;
    const int flags = fcntl(fd, F_GETFL);

    return flags != -1 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != -1;
}

static bool
has_to_wait(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* One try.  0: it failed; SIZE_MAX: once more. */
static size_t
send_once(const redis_node_t *node, char *octets, size_t size)
{
    const int fd = node->redis->fd;
    size_t sent = 0;

    errno = 0;

    if (node->ssl == NULL) {
        const ssize_t n = send(fd, octets, size, MSG_NOSIGNAL);

        return n > 0                                         ? (size_t) n
               : has_to_wait() && deadline_wait(fd, POLLOUT) ? SIZE_MAX
                                                             : 0;
    }

    ERR_clear_error();

    const int result = SSL_write_ex(node->ssl, octets, size, &sent);

    return result == 1 ? sent : redis_tls_wait(node, result) ? SIZE_MAX : 0;
}

static size_t
receive_once(const redis_node_t *node, char *octets, size_t size)
{
    const int fd = node->redis->fd;
    size_t received = 0;

    errno = 0;

    if (node->ssl == NULL) {
        const ssize_t n = recv(fd, octets, size, 0);

        return n > 0 ? (size_t) n
               : n < 0 && has_to_wait() && deadline_wait(fd, POLLIN) ? SIZE_MAX
                                                                     : 0;
    }

    ERR_clear_error();

    const int result = SSL_read_ex(node->ssl, octets, size, &received);

    return result == 1 ? received : redis_tls_wait(node, result) ? SIZE_MAX : 0;
}

/* Again and again until the deadline, which a server that always has something
   to say does not put off. */
static size_t
move(const redis_node_t *node, char *octets, size_t size,
     size_t (*once)(const redis_node_t *node, char *octets, size_t size))
{
    size_t moved;

    do {
        if (deadline_left() == 0) {
            errno = ETIMEDOUT;
            moved = 0;
        } else {
            moved = once(node, octets, size);
        }
    } while (moved == SIZE_MAX);

    if (moved == 0) {
        set_error(node->redis,
                  errno == ETIMEDOUT ? "timeout" : "the connection is lost");
    }

    deadline_moved(moved);
    return moved;
}

static bool
write_all(const redis_node_t *node)
{
    redisContext *redis = node->redis;
    const size_t size = sdslen(redis->obuf);

    for (size_t at = 0; at < size;) {
        const size_t sent = move(node, redis->obuf + at, size - at, send_once);

        if (sent == 0) {
            return false;
        }

        at += sent;
    }

    sdsclear(redis->obuf);
    return true;
}

static bool
read_some(const redis_node_t *node)
{
    char octets[READ_SIZE];
    const size_t size = move(node, octets, sizeof(octets), receive_once);

    if (size > 0) {
        redisReaderFeed(node->redis->reader, octets, size);
    }

    return size > 0;
}

redisReply *
redis_next_reply(store_database_t *db)
{
    const redis_node_t *node = ((redis_link_t *) db->link)->node;
    redisContext *redis = node->redis;
    void *reply = NULL;

    for (bool is_good = redis->err == 0 && write_all(node); is_good;
         is_good = read_some(node)) {
        if (redis_read_reply(redis->reader, &reply) != REDIS_OK) {
            set_error(redis, redis->reader->errstr);
            return NULL;
        }

        if (reply != NULL) {
            return reply;
        }
    }

    return NULL;
}

redisReply *
redis_call(store_database_t *db, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);

    const int status = redisvAppendCommand(redis_of(db), format, arguments);

    va_end(arguments);
    return status == REDIS_OK ? redis_next_reply(db) : NULL;
}
