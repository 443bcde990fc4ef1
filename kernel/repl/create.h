/* Opens that create or empty files. See create.c. */
#pragma once

#include "operation.h"

RPL_PRE_OPERATION RplPreCreate;
RPL_POST_OPERATION RplPostCreate;
