/*
 * usage: redis_ask URL PIECE
 *
 * As mysql_ask, from Redis on 127.0.0.1.  PIECE: octets that each read and
 * write moves at most.
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

int
main(int count, char **values)
{
    char name[1100], type[32];
    store_records_t *records;

    char error[STORE_OPTIONS_ERROR_SIZE];
    store_options_t *options;

    if (count != 3 || store_options_read(&options, values[1], NULL, 0, NULL,
                                         error) != DNS_OK) {
        return 2;
    }

    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port =
                                      htons(options->hosts.host[0].port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const store_redis_callbacks_t callbacks = {.skip = print_skipped,
                                               .done = done};
    dns_status_t status;

    piece = (size_t) atoi(values[2]);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (void *) &address, sizeof(address)), 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    assert_int_equal(store_records_new(&records), DNS_OK);
    assert_int_equal(store_redis_new(&db, options, &callbacks, records),
                     DNS_OK);
    store_redis_set_serial(db, 7);
    store_redis_begin_login(db, &status);
    run();
    printf("\n");

    while (scanf("%1099s %31s", name, type) == 2) {
        answer_line(name, type, list_zones, fetch_set);
        printf("\n");
    }

    store_redis_free(db);
    store_records_free(records);
    store_options_release(options);
    close(fd);
    return 0;
}
