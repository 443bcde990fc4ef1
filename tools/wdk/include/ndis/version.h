/*
 * Versions of NDIS. A driver states what it is written for (NDIS685); all earlier ones are implied.
 */
#pragma once

#define NDIS_SUPPORT_60_COMPATIBLE_API    1
#define NDIS_SUPPORT_NDIS6                1
#define NDIS_SUPPORT_NDIS61               1
#define NDIS_SUPPORT_NDIS620              1
#define NDIS_SUPPORT_NDIS630              1
#define NDIS_SUPPORT_NDIS640              1
#define NDIS_SUPPORT_NDIS650              1
#define NDIS_SUPPORT_NDIS651              1
#define NDIS_SUPPORT_NDIS660              1
#define NDIS_SUPPORT_NDIS670              1
#define NDIS_SUPPORT_NDIS680              1
#define NDIS_SUPPORT_NDIS681              1
#define NDIS_SUPPORT_NDIS682              1
#define NDIS_SUPPORT_NDIS683              1
#define NDIS_SUPPORT_NDIS684              1
#define NDIS_SUPPORT_NDIS685              1
#define NDIS_RUNTIME_VERSION_60           0x00060000
#define NDIS_RUNTIME_VERSION_61           0x00060001
#define NDIS_RUNTIME_VERSION_620          0x00060014
#define NDIS_RUNTIME_VERSION_630          0x0006001E
#define NDIS_RUNTIME_VERSION_640          0x00060028
#define NDIS_RUNTIME_VERSION_650          0x00060032
#define NDIS_RUNTIME_VERSION_651          0x00060033
#define NDIS_RUNTIME_VERSION_660          0x0006003C
#define NDIS_RUNTIME_VERSION_670          0x00060046
#define NDIS_RUNTIME_VERSION_680          0x00060050
#define NDIS_RUNTIME_VERSION_681          0x00060051
#define NDIS_RUNTIME_VERSION_682          0x00060052
#define NDIS_RUNTIME_VERSION_683          0x00060053
#define NDIS_RUNTIME_VERSION_684          0x00060054
#define NDIS_RUNTIME_VERSION_685          0x00060055
#define NDIS_FILTER_MAJOR_VERSION         6
#define NDIS_FILTER_MINOR_VERSION         85
#define NDIS_FILTER_MINIMUM_MAJOR_VERSION 6
#define NDIS_FILTER_MINIMUM_MINOR_VERSION 85
