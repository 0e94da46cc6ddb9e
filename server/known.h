#ifndef SERVER_KNOWN_H
#define SERVER_KNOWN_H

/*
 * Sets of names of which a worker remembers the last ones, in bounded memory
 * and without allocating anything: a name that was put is found until some
 * number of others have been put after it; of names that were never put, one in
 * a hundred is found too.
 */

#include <stdbool.h>

#include "dns/name.h"

/* Names for which a database or an upstream has had an answer: the last 50,000
   to 100,000.  name: lower case. */
void known_put(const dns_name_t *name);
bool known_has(const dns_name_t *name);

/* Names that were turned away: the last 800,000 to 1,600,000.  Puts one; true:
   it had been put before: a client asks for it again. */
bool known_was_refused(const dns_name_t *name);

#endif
