/*
 * The Windows Driver Model. The parts are in wdm/.
 */
#pragma once

#include <sdkddkver.h>
#include <wdm/types.h>
#include <wdm/atomic.h>
#include <wdm/ke.h>
#include <wdm/ex.h>
#include <wdm/mm.h>
#include <wdm/se.h>
#include <wdm/obps.h>
#include <wdm/rtl.h>
#include <wdm/io.h>
#include <wdm/zw.h>
