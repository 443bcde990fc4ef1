/* The I/O manager's services to other parts of the host. */
#pragma once
#include <ntddk.h>

/* IoCreateDevice with a security descriptor out of an SDDL string (NULL: that of
 * IoCreateDevice): what IoCreateDeviceSecure, NdisRegisterDeviceEx and KMDF's
 * control devices do. sddl: "D:P(A;;GA;;;SY)(A;;GA;;;BA)". */
NTSTATUS io_create_device_secure(PDRIVER_OBJECT driver, ULONG extension_bytes,
                                 PCUNICODE_STRING name, DEVICE_TYPE type, ULONG characteristics,
                                 BOOLEAN exclusive, PCUNICODE_STRING sddl, PDEVICE_OBJECT *device);

/* A driver object of the host's own (no image): the framework's and NDIS's. */
PDRIVER_OBJECT io_create_driver(const char *name);
void io_delete_driver(PDRIVER_OBJECT driver);

/* Drivers' files are in it: "\??\C:\x" is <state_dir>/files/x. NULL: memory only. */
const char *io_state_dir(void);

/* The service name of a driver ("oneip"), UTF-8; "" for the host's own. */
const char *io_driver_service(const DRIVER_OBJECT *driver);
