/* The filter manager's callbacks around what the memory and the cache manager do. */
#pragma once
#include <ntifs.h>

extern const FS_FILTER_CALLBACKS flt_fs_filter_callbacks;
