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

static void
done(void *data, void *job, dns_status_t status, const char *error)
{
    (void) data;
    *(dns_status_t *) job = status;

    if (status != DNS_OK) {
        printf("! %s\n", error);
    }
}

static void
run(void)
{
    static char octets[1 << 16];

    while (store_redis_jobs(db) > 0) {
        send_output();

        const ssize_t size = read(fd, octets, piece);

        if (size <= 0 ||
            store_redis_feed(db, octets, (size_t) size) != DNS_OK) {
            printf("! closed\n");
            exit(0);
        }
    }
}

static dns_status_t
list_zones(dns_zone_list_t *zones)
{
    dns_status_t status;

    store_redis_begin_zones(db, zones, &status);
    run();
    return status;
}

static dns_status_t
fetch_set(dns_fetched_t *set)
{
    dns_status_t status;

    store_redis_begin_fetch(db, set, &status);
    run();
    return status;
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
    store_redis_options_t options = {
        .prefix = values[5], .skip = print_skipped, .done = done};
    store_redis_account_t account = {.user = optional(values[2]),
                                     .password = optional(values[3]),
                                     .database = (unsigned) atoi(values[4])};
    dns_status_t status;

    piece = (size_t) atoi(values[6]);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (void *) &address, sizeof(address)), 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    assert_int_equal(store_records_new(&records), DNS_OK);
    assert_int_equal(store_redis_new(&db, &options, records), DNS_OK);
    store_redis_set_serial(db, 7);
    store_redis_begin_login(db, &account, &status);
    run();
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
