#include "server/client.h"

typedef struct {
    uint32_t address; /* host order */
    uint32_t mask;
} network_t;


const struct sockaddr *
dns_server_client(const struct sockaddr *address)
{
    static const struct sockaddr_in nobody = {.sin_family = AF_INET};
    return address->sa_family == AF_INET || address->sa_family == AF_INET6
               ? address
               : (const struct sockaddr *) &nobody;
}


static ngx_uint_t
is_local_v4(const uint8_t *octets)
{
    static const network_t networks[] = {
        {0x7f000000, 0xff000000}, /* 127.0.0.0/8, RFC 1122 */
        {0x0a000000, 0xff000000}, /* 10.0.0.0/8, RFC 1918 */
        {0xac100000, 0xfff00000}, /* 172.16.0.0/12 */
        {0xc0a80000, 0xffff0000}, /* 192.168.0.0/16 */
        {0x64400000, 0xffc00000}, /* 100.64.0.0/10, RFC 6598 */
        {0xa9fe0000, 0xffff0000}, /* 169.254.0.0/16, RFC 3927 */
        {0x00000000, 0xffffffff}, /* no address: a Unix socket */
    };
    const uint32_t address = (uint32_t) octets[0] << 24 |
                             (uint32_t) octets[1] << 16 |
                             (uint32_t) octets[2] << 8 | octets[3];
    for (ngx_uint_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
        if ((address & networks[i].mask) == networks[i].address) {
            return 1;
        }
    }
    return 0;
}


/* ::1, fc00::/7 (RFC 4193), fe80::/10, and IPv4 in IPv6. */
static ngx_uint_t
is_local_v6(const struct in6_addr *address)
{
    const uint8_t *octets = address->s6_addr;
    return IN6_IS_ADDR_LOOPBACK(address) || (octets[0] & 0xfe) == 0xfc ||
           IN6_IS_ADDR_LINKLOCAL(address) ||
           (IN6_IS_ADDR_V4MAPPED(address) && is_local_v4(octets + 12));
}


ngx_uint_t
dns_server_is_local(const struct sockaddr *client)
{
    switch (client->sa_family) {
    case AF_INET:
        return is_local_v4(
            (const uint8_t *) &((const struct sockaddr_in *) client)->sin_addr);
    case AF_INET6:
        return is_local_v6(&((const struct sockaddr_in6 *) client)->sin6_addr);
    default:
        return client->sa_family == AF_UNIX;
    }
}
