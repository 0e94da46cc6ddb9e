/* The limit of the machine's UDP sockets: takes datagrams in batches, sets QR,
   sends them back.  usage: echo PORT */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BATCH = 64, DATAGRAM_SIZE = 1500, QR_AT = 2, QR = 0x80 };

static int
open_socket(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t) port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0 ||
        bind(fd, (struct sockaddr *) &address, sizeof(address)) != 0) {
        perror("echo");
        exit(1);
    }

    return fd;
}

int
main(int argc, char **argv)
{
    static unsigned char octets[BATCH][DATAGRAM_SIZE];
    static struct sockaddr_storage clients[BATCH];
    static struct iovec parts[BATCH];
    static struct mmsghdr messages[BATCH];

    if (argc != 2) {
        fprintf(stderr, "usage: echo PORT\n");
        return 1;
    }

    int fd = open_socket(atoi(argv[1]));

    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){octets[i], DATAGRAM_SIZE};
            messages[i].msg_hdr = (struct msghdr){
                .msg_name = &clients[i],
                .msg_namelen = sizeof(clients[i]),
                .msg_iov = &parts[i],
                .msg_iovlen = 1,
            };
        }

        int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);

        for (int i = 0; i < count; i++) {
            parts[i].iov_len = messages[i].msg_len;
            octets[i][QR_AT] |= QR;
        }

        for (int sent = 0; sent < count;) {
            int n = sendmmsg(fd, messages + sent, (unsigned) (count - sent), 0);

            sent += n > 0 ? n : 1;
        }
    }
}
