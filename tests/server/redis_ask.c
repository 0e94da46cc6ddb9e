/*
 * usage: redis_ask PORT USER PASSWORD DATABASE PREFIX PIECE
 *
 * As mysql_ask, from Redis on 127.0.0.1; USER or PASSWORD "-": none.  PIECE:
 * octets that each read and write moves at most.
 */

#include "store_ask.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "store/redis.h"

static store_redis_t *db;
static int fd;
static size_t piece;

static void
send_output(void)
{
    size_t size;
    const char *output;

    while (output = store_redis_output(db, &size), size > 0) {
        ssize_t sent = write(fd, output, size < piece ? size : piece);

        assert_true(sent > 0);
        store_redis_sent(db, (size_t) sent);
    }
}

static dns_status_t
run(void)
{
    static char octets[1 << 16];
    ssize_t size = 0;

    while (store_redis_feed(db, octets, (size_t) size) == STORE_REDIS_WAITS) {
        send_output();
        size = read(fd, octets, piece);

        if (size <= 0) {
            printf("! closed\n");
            return DNS_ESTORE;
        }
    }

    if (store_redis_status(db) != DNS_OK) {
        printf("! %s\n", store_redis_error(db));
    }

    return store_redis_status(db);
}

static dns_status_t
list_zones(dns_zone_list_t *zones)
{
    store_redis_begin_zones(db, zones);
    return run();
}

static dns_status_t
fetch_set(dns_fetched_t *set)
{
    store_redis_begin_fetch(db, set);
    return run();
}

static void
print_skipped(void *data, const char *name, const char *reason)
{
    (void) data;
    printf("skip %s %s\n", name, reason);
}

static const char *
optional(const char *text)
{
    return strcmp(text, "-") == 0 ? NULL : text;
}

int
main(int count, char **values)
{
    char name[1100], type[32];
    store_records_t *records;

    if (count < 7) {
        return 2;
    }

    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t) atoi(values[1])),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    store_redis_options_t options = {.prefix = values[5],
                                     .skip = print_skipped};

    piece = (size_t) atoi(values[6]);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (void *) &address, sizeof(address)), 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    assert_int_equal(store_records_new(&records), DNS_OK);
    assert_int_equal(store_redis_new(&db, &options, records), DNS_OK);
    store_redis_set_serial(db, 7);
    store_redis_begin_login(db, optional(values[2]), optional(values[3]),
                            (unsigned) atoi(values[4]));
    (void) run();
    printf("\n");

    while (scanf("%1099s %31s", name, type) == 2) {
        answer_line(name, type, list_zones, fetch_set);
        printf("\n");
    }

    store_redis_free(db);
    store_records_free(records);
    close(fd);
    return 0;
}
