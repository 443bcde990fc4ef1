/**
 * The NTSTATUS values that a client of our drivers can meet: names, what they mean in words, and the
 * Win32 error that RtlNtStatusToDosError makes of them.
 */
export interface NtStatus {
  readonly value: number;
  readonly name: string;
  readonly meaning: string;
  /** Win32 error. */
  readonly win32: number;
}

const table: readonly (readonly [number, string, number, string])[] = [
  [0x00000000, 'STATUS_SUCCESS', 0, 'success'],
  [0x00000102, 'STATUS_TIMEOUT', 1460, 'timed out'],
  [0x00000103, 'STATUS_PENDING', 997, 'still under way'],
  [0x80000005, 'STATUS_BUFFER_OVERFLOW', 234, 'more data is available than fits'],
  [0x80000006, 'STATUS_NO_MORE_FILES', 18, 'no more files'],
  [0x80000011, 'STATUS_DEVICE_BUSY', 170, 'the device is busy'],
  [0x8000001a, 'STATUS_NO_MORE_ENTRIES', 259, 'no more entries'],
  [0xc0000001, 'STATUS_UNSUCCESSFUL', 31, 'failed'],
  [0xc0000002, 'STATUS_NOT_IMPLEMENTED', 1, 'not implemented'],
  [0xc0000004, 'STATUS_INFO_LENGTH_MISMATCH', 24, 'the length does not match'],
  [0xc0000008, 'STATUS_INVALID_HANDLE', 6, 'the handle is not open'],
  [0xc000000d, 'STATUS_INVALID_PARAMETER', 87, 'a parameter is wrong'],
  [0xc000000e, 'STATUS_NO_SUCH_DEVICE', 433, 'there is no such device'],
  [0xc000000f, 'STATUS_NO_SUCH_FILE', 2, 'there is no such file'],
  [0xc0000010, 'STATUS_INVALID_DEVICE_REQUEST', 1, 'the device does not know this request'],
  [0xc0000011, 'STATUS_END_OF_FILE', 38, 'end of file'],
  [0xc0000017, 'STATUS_NO_MEMORY', 8, 'out of memory'],
  [0xc0000022, 'STATUS_ACCESS_DENIED', 5, 'access is denied'],
  [0xc0000023, 'STATUS_BUFFER_TOO_SMALL', 122, 'the buffer is too small'],
  [0xc0000024, 'STATUS_OBJECT_TYPE_MISMATCH', 6, 'this is another kind of object'],
  [0xc0000033, 'STATUS_OBJECT_NAME_INVALID', 123, 'the name is not valid'],
  [0xc0000034, 'STATUS_OBJECT_NAME_NOT_FOUND', 2, 'there is nothing of this name'],
  [0xc0000035, 'STATUS_OBJECT_NAME_COLLISION', 183, 'the name exists already'],
  [0xc0000039, 'STATUS_OBJECT_PATH_INVALID', 161, 'the path is not valid'],
  [0xc000003a, 'STATUS_OBJECT_PATH_NOT_FOUND', 3, 'the path does not exist'],
  [0xc000003b, 'STATUS_OBJECT_PATH_SYNTAX_BAD', 161, 'the path is not valid'],
  [0xc000003e, 'STATUS_DATA_ERROR', 23, 'the data is damaged'],
  [0xc0000043, 'STATUS_SHARING_VIOLATION', 32, 'it is in use'],
  [0xc0000056, 'STATUS_DELETE_PENDING', 5, 'it is being deleted'],
  [0xc000007a, 'STATUS_PROCEDURE_NOT_FOUND', 127, 'the function does not exist'],
  [0xc000007b, 'STATUS_INVALID_IMAGE_FORMAT', 193, 'the image is damaged or of another kind'],
  [0xc000007f, 'STATUS_DISK_FULL', 112, 'the disk is full'],
  [0xc000009a, 'STATUS_INSUFFICIENT_RESOURCES', 1450, 'not enough memory or other resources'],
  [0xc000009d, 'STATUS_DEVICE_NOT_CONNECTED', 1167, 'the device is not connected'],
  [0xc00000a2, 'STATUS_MEDIA_WRITE_PROTECTED', 19, 'it is write-protected'],
  [0xc00000a3, 'STATUS_DEVICE_NOT_READY', 21, 'the device is not ready'],
  [0xc00000ac, 'STATUS_PIPE_NOT_AVAILABLE', 231, 'every instance of the pipe is busy'],
  [0xc00000ae, 'STATUS_PIPE_BUSY', 231, 'the pipe is busy'],
  [0xc00000b0, 'STATUS_PIPE_DISCONNECTED', 233, 'nothing is at the other end of the pipe'],
  [0xc00000b1, 'STATUS_PIPE_CLOSING', 232, 'the pipe is being closed'],
  [0xc00000b5, 'STATUS_IO_TIMEOUT', 121, 'the request timed out'],
  [0xc00000ba, 'STATUS_FILE_IS_A_DIRECTORY', 5, 'this is a folder'],
  [0xc00000bb, 'STATUS_NOT_SUPPORTED', 50, 'not supported'],
  [0xc00000c0, 'STATUS_DEVICE_DOES_NOT_EXIST', 55, 'the device is gone'],
  [0xc0000107, 'STATUS_FILES_OPEN', 2401, 'it has open handles'],
  [0xc0000108, 'STATUS_CONNECTION_IN_USE', 2404, 'it is in use'],
  [0xc000010e, 'STATUS_IMAGE_ALREADY_LOADED', 1056, 'it is running already'],
  [0xc0000120, 'STATUS_CANCELLED', 995, 'cancelled'],
  [0xc0000121, 'STATUS_CANNOT_DELETE', 5, 'it cannot be deleted'],
  [0xc000014b, 'STATUS_PIPE_BROKEN', 109, 'the other end of the pipe is closed'],
  [0xc0000184, 'STATUS_INVALID_DEVICE_STATE', 22, 'the device is not in a state for that'],
  [0xc0000185, 'STATUS_IO_DEVICE_ERROR', 1117, 'the device reports an I/O error'],
  [0xc0000225, 'STATUS_NOT_FOUND', 1168, 'not found'],
  [0xc0000263, 'STATUS_DRIVER_ENTRYPOINT_NOT_FOUND', 127, 'the driver imports an unknown function'],
  [0xc000026c, 'STATUS_DRIVER_UNABLE_TO_LOAD', 2001, 'the driver cannot be loaded'],
  [0xc00002b6, 'STATUS_DEVICE_REMOVED', 1617, 'the device was removed'],
  [0xc0000365, 'STATUS_FAILED_DRIVER_ENTRY', 647, "the driver's entry point failed"],
  [0xc000036c, 'STATUS_DRIVER_BLOCKED', 1275, 'the driver is blocked'],
  [0xc0000428, 'STATUS_INVALID_IMAGE_HASH', 577, "the image's signature is not valid"],
];

const byValue = new Map<number, NtStatus>(
  table.map(([value, name, win32, meaning]) => [value, { value, name, win32, meaning }]),
);

export function knownStatuses(): NtStatus[] {
  return [...byValue.values()];
}

/** Severity error: 0xC0000000 and above. Information and warnings are successes to a caller. */
export function isError(status: number): boolean {
  return status >>> 30 === 3;
}

/** The names by which code asks for a status. */
export const STATUS_SUCCESS = 0;
export const STATUS_CANCELLED = 0xc0000120;
export const STATUS_ACCESS_DENIED = 0xc0000022;
export const STATUS_NOT_FOUND = 0xc0000225;
export const STATUS_OBJECT_NAME_NOT_FOUND = 0xc0000034;
export const STATUS_OBJECT_PATH_NOT_FOUND = 0xc000003a;
export const STATUS_NO_SUCH_DEVICE = 0xc000000e;

/** A Win32 error that came without an NTSTATUS is 0xC007xxxx, as in NTSTATUS_FROM_WIN32. */
const FACILITY_NTWIN32 = 0xc0070000;

export function describeStatus(status: number): NtStatus {
  const known = byValue.get(status);
  if (known) return known;
  const hex = `0x${status.toString(16).toUpperCase().padStart(8, '0')}`;
  if ((status & 0xffff0000) >>> 0 === FACILITY_NTWIN32) {
    const win32 = status & 0xffff;
    return { value: status, name: hex, meaning: `Windows error ${win32}`, win32 };
  }
  return { value: status, name: hex, meaning: `NTSTATUS ${hex}`, win32: 317 };
}
