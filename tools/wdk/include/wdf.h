/*
 * Kernel-Mode Driver Framework 1.33. Every WdfXxx is an inline call through the function table that
 * WdfVersionBind hands to the driver's entry stub.
 */
#pragma once

#include <ntddk.h>

#include <wdffuncenum.h>
#include <wdftypes.h>
#include <wdfobject.h>
#include <wdfdriver.h>
#include <wdffileobject.h>
#include <wdfdevice.h>
#include <wdfmemory.h>
#include <wdfrequest.h>
#include <wdfio.h>
#include <wdfsync.h>
#include <wdftimer.h>
#include <wdfregistry.h>
