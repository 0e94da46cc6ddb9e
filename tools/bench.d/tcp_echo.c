/* The peer of the cosocket rows: sends back what comes, one connection after
   another in one thread by poll().  usage: tcp_echo PORT */

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 64, SIZE = 65536 };

static struct pollfd fds[CLIENTS];
static int count;

static void
listen_on(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t) port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 ||
        bind(fd, (struct sockaddr *) &address, sizeof(address)) != 0 ||
        listen(fd, CLIENTS) != 0) {
        perror("tcp_echo");
        exit(1);
    }

    fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void
take_client(void)
{
    int on = 1;
    int fd = accept(fds[0].fd, NULL, NULL);

    if (fd >= 0 && count < CLIENTS) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        fds[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    } else if (fd >= 0) {
        close(fd);
    }
}

int
main(int argc, char **argv)
{
    static char octets[SIZE];

    if (argc != 2) {
        fprintf(stderr, "usage: tcp_echo PORT\n");
        return 1;
    }

    listen_on(atoi(argv[1]));

    while (poll(fds, (nfds_t) count, -1) >= 0) {
        for (int i = count - 1; i > 0; i--) {
            if (fds[i].revents == 0) {
                continue;
            }

            ssize_t size = read(fds[i].fd, octets, SIZE);

            if (size <= 0 || write(fds[i].fd, octets, (size_t) size) != size) {
                close(fds[i].fd);
                fds[i] = fds[--count];
            }
        }

        if (fds[0].revents != 0) {
            take_client();
        }
    }

    return 1;
}
