/*
 * A load generator that costs less than the servers it measures: keeps a fixed
 * number of queries under way, sends and receives in batches, checks every
 * reply's id, question, rcode and number of answers, and prints one line of
 * JSON.
 *
 * usage: load ADDR PORT SECONDS OUTSTANDING RATE FILE [LOST_MS]
 *   RATE     queries per second; 0: as many as are answered
 *   FILE     queries: size u16, rcode u8, answers u8 (255: any), packet,
 *            again and again; integers in the machine's order.  rcode 254: any
 *            datagram is a reply, for servers that do not speak DNS
 *   LOST_MS  a query without a reply for so long is given up (1000)
 */

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SOCKETS = 8,      /* a client is one port; servers spread clients */
    SLOTS_MAX = 1024, /* of one socket; ids are slots and a round */
    BATCH = 64,
    QUERY_MAX = 512,
    REPLY_MAX = 4096,
    HEADER_SIZE = 12,
    BUCKETS = 20000, /* of the latency histogram, 10 us each */
    BUCKET_US = 10,
};

typedef struct {
    uint16_t size;
    uint8_t rcode;
    uint8_t answers;
    uint8_t packet[QUERY_MAX];
} query_t;

typedef struct {
    const query_t *query; /* NULL: free */
    int64_t sent_at;      /* us */
    uint16_t round;
} slot_t;

typedef struct {
    int fd;
    int free_count;
    int free_slots[SLOTS_MAX];
    slot_t slots[SLOTS_MAX];
} client_t;

static client_t clients[SOCKETS];
static int64_t lost_after_us = 1000000;
static query_t *queries;
static size_t query_count;
static size_t next_query;
static uint64_t histogram[BUCKETS];
static uint64_t sent_count, good_count, wrong_count, lost_count;

static int64_t
now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

static void
read_queries(const char *path)
{
    FILE *file = fopen(path, "rb");
    query_t q;

    if (file == NULL) {
        die(path);
    }

    while (fread(&q.size, 2, 1, file) == 1) {
        if (q.size < HEADER_SIZE || q.size > QUERY_MAX ||
            fread(&q.rcode, 1, 1, file) != 1 ||
            fread(&q.answers, 1, 1, file) != 1 ||
            fread(q.packet, q.size, 1, file) != 1) {
            fprintf(stderr, "load: %s is damaged\n", path);
            exit(1);
        }

        if (query_count % 1024 == 0) {
            queries = realloc(queries, (query_count + 1024) * sizeof(q));
        }

        queries[query_count++] = q;
    }

    fclose(file);
}

static void
open_client(client_t *c, const char *address, int port, int slots)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t) port),
    };
    int size = 4 << 20;

    c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    if (c->fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
        connect(c->fd, (struct sockaddr *) &to, sizeof(to)) != 0) {
        die(address);
    }

    setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));

    for (int i = 0; i < slots; i++) {
        c->free_slots[c->free_count++] = i;
    }
}

/* Sends up to count queries on free slots; how many went out. */
static int
send_some(client_t *c, int count)
{
    static uint8_t packets[BATCH][QUERY_MAX];
    static struct iovec parts[BATCH];
    static struct mmsghdr messages[BATCH];
    int n = 0;
    int64_t now = now_us();

    for (; n < count && n < BATCH && c->free_count > 0; n++) {
        int index = c->free_slots[--c->free_count];
        slot_t *slot = &c->slots[index];

        slot->query = &queries[next_query];
        slot->sent_at = now;
        slot->round = (uint16_t) ((slot->round + 1) & 63);
        next_query = (next_query + 1) % query_count;
        memcpy(packets[n], slot->query->packet, slot->query->size);
        packets[n][0] = (uint8_t) (slot->round << 2 | index >> 8);
        packets[n][1] = (uint8_t) index;
        parts[n] = (struct iovec){packets[n], slot->query->size};
        messages[n].msg_hdr = (struct msghdr){
            .msg_iov = &parts[n],
            .msg_iovlen = 1,
        };
    }

    for (int sent = 0; sent < n;) {
        int done = sendmmsg(c->fd, messages + sent, (unsigned) (n - sent), 0);

        if (done < 0 && errno != EAGAIN && errno != ECONNREFUSED) {
            die("send");
        }

        sent += done > 0 ? done : 0;
    }

    sent_count += (uint64_t) n;
    return n;
}

static bool
is_right(const query_t *q, const uint8_t *reply, unsigned size)
{
    /* From the question's name on to its class; EDNS follows in the query. */
    size_t end = HEADER_SIZE;

    while (end < q->size && q->packet[end] != 0) {
        end += q->packet[end] + 1u;
    }

    end += 5;
    return size >= end && (reply[2] & 0x80) != 0 &&
           (q->rcode == 255 || (reply[3] & 15) == q->rcode) &&
           (q->answers == 255 || (reply[6] << 8 | reply[7]) == q->answers) &&
           memcmp(reply + HEADER_SIZE, q->packet + HEADER_SIZE,
                  end - HEADER_SIZE) == 0;
}

enum { NOT_DNS = 254 };

/* For replies that say nothing: a query that is under way. */
static int
any_busy_slot(const client_t *c)
{
    static int last;

    for (int i = 0; i < SLOTS_MAX; i++) {
        last = (last + 1) % SLOTS_MAX;

        if (c->slots[last].query != NULL) {
            return last;
        }
    }

    return -1;
}

static void
note_reply(client_t *c, const uint8_t *reply, unsigned size, int64_t now)
{
    bool is_dns = queries[0].rcode != NOT_DNS;
    int index = !is_dns               ? any_busy_slot(c)
                : size >= HEADER_SIZE ? (reply[0] & 3) << 8 | reply[1]
                                      : -1;
    slot_t *slot = index >= 0 ? &c->slots[index] : NULL;

    if (slot == NULL || slot->query == NULL ||
        (is_dns && slot->round != reply[0] >> 2)) {
        wrong_count++;
        return;
    }

    if (!is_dns || is_right(slot->query, reply, size)) {
        int64_t bucket = (now - slot->sent_at) / BUCKET_US;

        good_count++;
        histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    } else {
        wrong_count++;
    }

    slot->query = NULL;
    c->free_slots[c->free_count++] = index;
}

static int
receive_some(client_t *c)
{
    static uint8_t replies[BATCH][REPLY_MAX];
    static struct iovec parts[BATCH];
    static struct mmsghdr messages[BATCH];

    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){replies[i], REPLY_MAX};
        messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &parts[i],
            .msg_iovlen = 1,
        };
    }

    int n = recvmmsg(c->fd, messages, BATCH, MSG_DONTWAIT, NULL);
    int64_t now = now_us();

    for (int i = 0; i < n; i++) {
        note_reply(c, replies[i], messages[i].msg_len, now);
    }

    return n;
}

static void
forget_lost(client_t *c, int64_t now)
{
    for (int i = 0; i < SLOTS_MAX; i++) {
        slot_t *slot = &c->slots[i];

        if (slot->query != NULL && now - slot->sent_at > lost_after_us) {
            slot->query = NULL;
            c->free_slots[c->free_count++] = i;
            lost_count++;
        }
    }
}

static void
wait_for_replies(void)
{
    struct pollfd polls[SOCKETS];

    for (int i = 0; i < SOCKETS; i++) {
        polls[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
    }

    poll(polls, SOCKETS, 1);
}

static void
run(double seconds, double rate)
{
    int64_t begin = now_us();
    int64_t end = begin + (int64_t) (seconds * 1e6);
    int64_t sweep_at = begin + lost_after_us;

    for (int64_t now = begin; now < end; now = now_us()) {
        int moved = 0;
        double due = rate > 0 ? rate * (double) (now - begin) / 1e6 : 1e18;

        for (int i = 0; i < SOCKETS; i++) {
            double left = due - (double) sent_count;
            int count = left > BATCH ? BATCH : (int) left;

            moved += count > 0 ? send_some(&clients[i], count) : 0;
            moved += receive_some(&clients[i]) > 0;
        }

        if (moved == 0) {
            wait_for_replies();
        }

        if (now > sweep_at) {
            sweep_at = now + lost_after_us;

            for (int i = 0; i < SOCKETS; i++) {
                forget_lost(&clients[i], now);
            }
        }
    }
}

static long
percentile(double share)
{
    uint64_t wanted = (uint64_t) ((double) good_count * share);
    uint64_t seen = 0;

    for (int i = 0; i < BUCKETS; i++) {
        seen += histogram[i];

        if (seen > wanted) {
            return (long) i * BUCKET_US;
        }
    }

    return (long) BUCKETS * BUCKET_US;
}

int
main(int argc, char **argv)
{
    if (argc != 7 && argc != 8) {
        fprintf(stderr, "usage: load ADDR PORT SECONDS OUTSTANDING RATE FILE "
                        "[LOST_MS]\n");
        return 1;
    }

    if (argc == 8) {
        lost_after_us = 1000 * atoi(argv[7]);
    }

    int slots = atoi(argv[4]) / SOCKETS;

    read_queries(argv[6]);

    if (query_count == 0 || slots < 1 || slots > SLOTS_MAX) {
        fprintf(stderr,
                "load: no queries, or OUTSTANDING is not from %d to "
                "%d\n",
                SOCKETS, SOCKETS * SLOTS_MAX);
        return 1;
    }

    for (int i = 0; i < SOCKETS; i++) {
        open_client(&clients[i], argv[1], atoi(argv[2]), slots);
    }

    double seconds = atof(argv[3]);

    run(seconds, atof(argv[5]));
    printf("{\"good\": %lu, \"wrong\": %lu, \"lost\": %lu, \"sent\": %lu, "
           "\"qps\": %.0f, \"p50_us\": %ld, \"p99_us\": %ld}\n",
           good_count, wrong_count, lost_count, sent_count,
           (double) good_count / seconds, percentile(0.5), percentile(0.99));
    return 0;
}
