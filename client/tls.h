#ifndef CLIENT_TLS_H
#define CLIENT_TLS_H

/* TLS to a server whose certificate is checked.  No function waits. */

#include <stddef.h>

#include "client/wait.h"

struct ssl_ctx_st;
struct ssl_st;

enum { TLS_ERROR_SIZE = 128 }; /* bytes of an error text and its NUL */

/* What connections share: the authorities of a file.  NULL: the file cannot be
   read, or there is no memory.  It is the caller's, who releases it. */
CLIENT_EXPORT struct ssl_ctx_st *tls_context_new(const char *ca_file);
CLIENT_EXPORT void tls_context_release(struct ssl_ctx_st *context);

/* A session over a connected socket that does not block.  name: what the
   certificate has to be for; NULL: any name will do.  NULL: no memory, or the
   name is none. */
struct ssl_st *tls_new(struct ssl_ctx_st *context, int fd, const char *name);

/* At once, without a word to the server. */
void tls_free(struct ssl_st *ssl);

/* What a call came to. */
typedef enum {
    TLS_DONE,
    TLS_WAIT, /* *events: CLIENT_READ or CLIENT_WRITE */
    TLS_FAILED,
} tls_result_t;

/* error: TLS_ERROR_SIZE bytes: why the server is not to be trusted, or that the
   handshake failed. */
tls_result_t tls_connect(struct ssl_st *ssl, int *events, char *error);

/* Some octets, as many as there are; *moved: how many.  What was to be sent and
   had to wait is sent again with the same octets, and may have more behind
   them. */
tls_result_t tls_send(struct ssl_st *ssl, const char *octets, size_t size,
                      size_t *moved, int *events);
tls_result_t tls_receive(struct ssl_st *ssl, char *octets, size_t size,
                         size_t *moved, int *events);

#endif
