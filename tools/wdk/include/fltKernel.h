/*
 * Minifilter drivers. The parts are in flt/.
 */
#pragma once

#include <ntifs.h>

#include <flt/types.h>
#include <flt/data.h>
#include <flt/register.h>
#include <flt/object.h>
#include <flt/info.h>
#include <flt/context.h>
#include <flt/name.h>
#include <flt/callbackdata.h>
#include <flt/queue.h>
#include <flt/ecp.h>
#include <flt/io.h>
#include <flt/port.h>
