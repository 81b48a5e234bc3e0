#ifndef X
#define X
#include "master/pool_save.h"
#include "master/listener.h"
#endif
