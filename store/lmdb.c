#include "store/lmdb.h"
