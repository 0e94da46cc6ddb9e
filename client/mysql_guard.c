#include "client/private/mysql_guard.h"

#include <mysql.h>

#include <ma_pvio.h> /* takes types of mysql.h */

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "client/deadline.h"
#include "client/wait.h"

/* Of mysql/client_plugin.h, which includes a header that is not installed. */
enum { PVIO_PLUGIN = 101, PVIO_VERSION = 0x0100 };

typedef struct {
    MYSQL_CLIENT_PLUGIN_HEADER
    struct st_ma_pvio_methods *methods;
} pvio_plugin_t;

/* A greeting: MySQL's documentation, Protocol::HandshakeV10. */
enum {
    HEADER_SIZE = 4,     /* octets: the packet's size, its number */
    GREETING_MAX = 1024, /* octets: real ones have about a hundred */
    ERROR_MIN = 3,       /* octets: 0xff, a code */
    ERROR_MARK = 0xff,
    PROGRESS = 0xffff, /* no error, but how far a statement is: not yet */
    PROTOCOL = 10,
    /* Behind the version: thread, salt, filler, capabilities, character set,
       status, capabilities, the salt's size, filler, more salt. */
    CAPABILITIES_AT = 4 + 8 + 1,
    SALT_SIZE_AT = CAPABILITIES_AT + 2 + 1 + 2 + 2,
    FIXED_SIZE = SALT_SIZE_AT + 1 + 10 + 13,
    SALT_MAX = 21,
};

/* Those that do not show the password to who listens, and the others. */
#define SAFE_PLUGINS                                                           \
    "mysql_native_password,client_ed25519,caching_sha2_password,"              \
    "sha256_password,auth_gssapi_client,parsec"
static const char safe_plugins[] = SAFE_PLUGINS;
static const char all_plugins[] = SAFE_PLUGINS ",mysql_clear_password,dialog";

/* Why a log-in was given up; under this name among a connection's
   MARIADB_OPT_USERDATA. */
#define REFUSAL "resolua.refusal"

static char unknown_key[] =
    "the server wants the password by way of a public key that anybody between "
    "could replace: use TLS, a Unix socket, or server_public_key, a file with "
    "the server's key";
static char unreadable_key[] =
    "the file of server_public_key cannot be read, so that the server's key is "
    "not known";

static struct st_ma_pvio_methods plain;
static struct st_ma_pvio_methods checked;

typedef enum {
    GREETING_PART, /* wait for more */
    GREETING_GOOD,
    GREETING_BAD,
} greeting_t;

static bool
is_digit(uint8_t octet)
{
    return octet >= '0' && octet <= '9';
}

/* libmariadb takes three numbers of it: 10.11.6-MariaDB. */
static bool
is_version(const uint8_t *text, size_t size)
{
    size_t at = 0;

    for (int part = 0; part < 3; part++) {
        const size_t first = at;

        while (at < size && is_digit(text[at])) {
            at++;
        }

        if (at == first || (part < 2 && (at == size || text[at++] != '.'))) {
            return false;
        }
    }

    return true;
}

/* The part of the fixed size; NULL: it is no greeting. */
static const uint8_t *
fixed_part(const uint8_t *packet, size_t size)
{
    const uint8_t *version = packet + 1;
    const uint8_t *end = memchr(version, 0, size - 1);

    if (packet[0] != PROTOCOL || end == NULL ||
        !is_version(version, (size_t) (end - version)) ||
        (size_t) (packet + size - end) - 1 < FIXED_SIZE ||
        end[1 + SALT_SIZE_AT] > SALT_MAX) {
        return NULL;
    }

    return end + 1;
}

/* Without TLS the server is told no password that it could show to others.  A
   name that is in no list is not looked for on the disk. */
static void
restrict_plugins(const MARIADB_PVIO *pvio, const uint8_t *fixed)
{
    const unsigned capabilities = (unsigned) fixed[CAPABILITIES_AT] |
                                  (unsigned) fixed[CAPABILITIES_AT + 1] << 8;
    const bool has_tls =
        pvio->mysql->options.use_ssl && (capabilities & CLIENT_SSL) != 0;

    mysql_options(pvio->mysql, MARIADB_OPT_RESTRICTED_AUTH,
                  has_tls || pvio->type == PVIO_TYPE_UNIXSOCKET ? all_plugins
                                                                : safe_plugins);
}

static greeting_t
check_packet(const MARIADB_PVIO *pvio, const uint8_t *packet, size_t size)
{
    if (packet[0] == ERROR_MARK) {
        return size >= ERROR_MIN && (packet[1] | packet[2] << 8) != PROGRESS
                   ? GREETING_GOOD
                   : GREETING_BAD;
    }

    const uint8_t *fixed = fixed_part(packet, size);

    if (fixed == NULL) {
        return GREETING_BAD;
    }

    restrict_plugins(pvio, fixed);
    return GREETING_GOOD;
}

/* A client asks sha256_password's and caching_sha2_password's servers for their
   public key by one octet.  A command, which could look like it, is the first
   packet of its exchange: its number is 0. */
static bool
asks_for_key(const uint8_t *packet, size_t size)
{
    return size == HEADER_SIZE + 1 && packet[0] == 1 && packet[1] == 0 &&
           packet[2] == 0 && packet[3] != 0 &&
           (packet[HEADER_SIZE] == 1 || packet[HEADER_SIZE] == 2);
}

static bool
is_loopback(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer = {.any.sa_family = AF_UNSPEC};
    socklen_t size = sizeof(peer);

    if (getpeername(fd, &peer.any, &size) != 0) {
        return false;
    }

    if (peer.any.sa_family == AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK(&peer.v6.sin6_addr);
    }

    return peer.any.sa_family == AF_UNIX ||
           (peer.any.sa_family == AF_INET &&
            ntohl(peer.v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET);
}

/* Who is between could send a key of its own, and so have the password.  Where
   a file with the key is set, libmariadb asks only if it cannot read that. */
static bool
may_write(const MARIADB_PVIO *pvio, const uint8_t *packet, size_t size, int fd)
{
    const char *file = NULL;

    if (!asks_for_key(packet, size) || pvio->ctls != NULL) {
        return true;
    }

    (void) mysql_get_optionv(pvio->mysql, MYSQL_SERVER_PUBLIC_KEY, &file);

    if (file == NULL && is_loopback(fd)) {
        return true;
    }

    mysql_optionsv(pvio->mysql, MARIADB_OPT_USERDATA, REFUSAL,
                   file != NULL ? unreadable_key : unknown_key);
    errno = EACCES;
    return false;
}

/* Is more to come? */
static bool
is_open(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLRDHUP};

    return poll(&wanted, 1, 0) == 0;
}

/* Not woken before so many octets are there. */
static void
set_low_mark(int fd, int octets)
{
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &octets, sizeof(octets));
}

/* The greeting as it waits in the socket; what the system says to it is left to
   libmariadb. */
static greeting_t
peek(const MARIADB_PVIO *pvio, int fd)
{
    uint8_t octets[HEADER_SIZE + GREETING_MAX];
    const ssize_t count =
        recv(fd, octets, sizeof(octets), MSG_PEEK | MSG_DONTWAIT);
    size_t size = 0;

    if (count <= 0) {
        return count < 0 && (errno == EAGAIN || errno == EINTR) ? GREETING_PART
                                                                : GREETING_GOOD;
    }

    if (count >= HEADER_SIZE) {
        size = octets[0] | (size_t) octets[1] << 8 | (size_t) octets[2] << 16;

        if (size == 0 || size > GREETING_MAX || octets[3] != 0) {
            return GREETING_BAD;
        }
    }

    if (count < HEADER_SIZE || (size_t) count < HEADER_SIZE + size) {
        set_low_mark(fd, (int) (HEADER_SIZE + size));
        return is_open(fd) ? GREETING_PART : GREETING_BAD;
    }

    set_low_mark(fd, 1);
    return check_packet(pvio, octets + HEADER_SIZE, size);
}

static int
socket_of(MARIADB_PVIO *pvio)
{
    my_socket fd = -1;

    return plain.get_handle(pvio, &fd) ? -1 : fd;
}

/* libmariadb reads a greeting that is there at once. */
static greeting_t
look_at_greeting(MARIADB_PVIO *pvio)
{
    const int fd = socket_of(pvio);

    if (pvio->mysql->server_version != NULL || pvio->ctls != NULL || fd < 0) {
        return GREETING_GOOD;
    }

    return peek(pvio, fd);
}

static ssize_t
count_moved(ssize_t octets)
{
    deadline_moved(octets > 0 ? (size_t) octets : 0);
    return octets;
}

static ssize_t
read_async(MARIADB_PVIO *pvio, uchar *buffer, size_t size)
{
    switch (look_at_greeting(pvio)) {
    case GREETING_PART:
        errno = EAGAIN;
        return -1;
    case GREETING_BAD:
        errno = EPROTO;
        return -1;
    case GREETING_GOOD:
        break;
    }

    if (deadline_left() == 0) { /* something always comes */
        errno = ETIMEDOUT;
        return -1;
    }

    return count_moved(plain.async_read(pvio, buffer, size));
}

/* Until the thread's deadline. */
static bool
wait_for(MARIADB_PVIO *pvio, int event)
{
    const client_wait_t wait = {socket_of(pvio), event, CLIENT_NO_DEADLINE};

    if (client_wait_poll(&wait) == CLIENT_TIMEOUT) {
        errno = ETIMEDOUT;
        return false;
    }

    return true;
}

static int
wait_bounded(MARIADB_PVIO *pvio, my_bool is_read, int timeout)
{
    if (deadline_left() < 0) {
        return plain.wait_io_or_timeout(pvio, is_read, timeout);
    }

    return wait_for(pvio, is_read ? CLIENT_READ : CLIENT_WRITE) ? 1 : 0;
}

/* A socket that ends but for a part of the greeting is readable all the time:
   that is waited for by the millisecond. */
static bool
wait_for_greeting(MARIADB_PVIO *pvio)
{
    greeting_t greeting;

    while ((greeting = look_at_greeting(pvio)) == GREETING_PART) {
        if (wait_bounded(pvio, 1, pvio->timeout[PVIO_CONNECT_TIMEOUT]) < 1) {
            errno = ETIMEDOUT;
            return false;
        }

        (void) poll(NULL, 0, 1);
    }

    errno = EPROTO;
    return greeting == GREETING_GOOD;
}

static ssize_t
read_bounded(MARIADB_PVIO *pvio, uchar *buffer, size_t size)
{
    if (!wait_for_greeting(pvio) ||
        (deadline_left() >= 0 && !wait_for(pvio, CLIENT_READ))) {
        return -1;
    }

    return count_moved(plain.read(pvio, buffer, size));
}

static ssize_t
write_bounded(MARIADB_PVIO *pvio, const uchar *buffer, size_t size)
{
    if (!may_write(pvio, buffer, size, socket_of(pvio)) ||
        (deadline_left() >= 0 && !wait_for(pvio, CLIENT_WRITE))) {
        return -1;
    }

    return count_moved(plain.write(pvio, buffer, size));
}

static ssize_t
write_async(MARIADB_PVIO *pvio, const uchar *buffer, size_t size)
{
    return may_write(pvio, buffer, size, socket_of(pvio))
               ? count_moved(plain.async_write(pvio, buffer, size))
               : -1;
}

/* Where there is a deadline, nothing waits but in wait_bounded(). */
static int
set_blocking(MARIADB_PVIO *pvio, my_bool blocks, my_bool *before)
{
    return plain.blocking(pvio, blocks && deadline_left() < 0, before);
}

/* The methods of libmariadb's sockets are a table that it looks up by a
   name. */
static void
install(void)
{
    MYSQL *link = mysql_init(NULL);
    pvio_plugin_t *plugin = (pvio_plugin_t *) mysql_client_find_plugin(
        link, "pvio_socket", PVIO_PLUGIN);

    if (plugin != NULL && plugin->type == PVIO_PLUGIN &&
        plugin->interface_version == PVIO_VERSION) {
        plain = *plugin->methods;
        checked = plain;
        checked.read = read_bounded;
        checked.async_read = read_async;
        checked.write = write_bounded;
        checked.async_write = write_async;
        checked.wait_io_or_timeout = wait_bounded;
        checked.blocking = set_blocking;
        plugin->methods = &checked;
    }

    mysql_close(link);
}

void
client_mysql_guard(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void) pthread_once(&once, install);
}

const char *
client_mysql_refusal(MYSQL *link)
{
    const char *refusal = NULL;

    (void) mysql_get_optionv(link, MARIADB_OPT_USERDATA, (void *) REFUSAL,
                             &refusal);
    return refusal;
}
