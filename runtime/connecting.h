#ifndef RESOLUA_RUNTIME_CONNECTING_H
#define RESOLUA_RUNTIME_CONNECTING_H

/* A connection that is made by calls that block (libmariadb's handshake of TLS
   does), on a thread of nginx's pool "default". */

typedef struct resolua_connecting_s resolua_connecting_t;

typedef struct {
    void *object;                  /* the thread's, until done() */
    void (*connect)(void *object); /* on the thread */
    void (*free)(void *object);    /* in the place of done(), if it was given
                                      up meanwhile */
    void (*done)(void *data);      /* back in the event loop */
    void *data;
} resolua_connector_t;

/* NULL: there is no thread; object stays the caller's. */
resolua_connecting_t *
resolua_connecting_begin(const resolua_connector_t *connector);

/* done() is not called any more. */
void resolua_connecting_abandon(resolua_connecting_t *connecting);

#endif
