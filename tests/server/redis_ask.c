/*
 * usage: redis_ask URL PIECE
 *
 * As mysql_ask, from Redis on 127.0.0.1.  PIECE: octets that each read and
 * write moves at most.
 */

#include "store_ask.h"

#include <sys/socket.h>

#include "store/redis.h"

static store_redis_t *db;
static size_t piece;

/* In the place of libc's. */
ssize_t
recv(int fd, void *octets, size_t size, int flags)
{
    return recvfrom(fd, octets, size < piece ? size : piece, flags, NULL, NULL);
}

ssize_t
send(int fd, const void *octets, size_t size, int flags)
{
    return sendto(fd, octets, size < piece ? size : piece, flags, NULL, 0);
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

/* Until nothing is under way any more. */
static void
run(void)
{
    client_step_t step;
    client_wait_t wait;

    for (int ready = 0; (step = store_redis_step(db, ready, client_now_ms(),
                                                 &wait)) == CLIENT_WAIT;
         ready = client_wait_poll(&wait)) {
        continue;
    }

    if (step == CLIENT_ERROR) {
        printf("! %s\n", store_redis_error(db));
        exit(0);
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

    const store_redis_callbacks_t callbacks = {.skip = print_skipped,
                                               .done = done};

    piece = (size_t) atoi(values[2]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    assert_int_equal(store_records_new(&records), DNS_OK);
    assert_int_equal(store_redis_new(&db, options, &callbacks, records),
                     DNS_OK);
    store_redis_set_serial(db, 7);
    store_redis_open(db, &options->hosts.host[0], client_now_ms());
    run();
    printf("\n");

    while (scanf("%1099s %31s", name, type) == 2) {
        answer_line(name, type, list_zones, fetch_set);
        printf("\n");
    }

    store_redis_free(db);
    store_records_free(records);
    store_options_release(options);
    return 0;
}
