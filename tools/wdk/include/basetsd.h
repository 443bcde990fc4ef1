/*
 * Integers of a stated size. On ELF the 64-bit ones are `long`, so that they agree with size_t and
 * the C library's int64_t.
 */
#pragma once

typedef signed char INT8, *PINT8;
typedef unsigned char UINT8, *PUINT8;
typedef short INT16, *PINT16;
typedef unsigned short UINT16, *PUINT16;
typedef int INT32, *PINT32;
typedef unsigned int UINT32, *PUINT32;
typedef __INT64_TYPE__ INT64, *PINT64;
typedef __UINT64_TYPE__ UINT64, *PUINT64;
typedef int LONG32, *PLONG32;
typedef unsigned int ULONG32, *PULONG32;
typedef unsigned int DWORD32, *PDWORD32;
typedef __INT64_TYPE__ LONG64, *PLONG64;
typedef __UINT64_TYPE__ ULONG64, *PULONG64;
typedef __UINT64_TYPE__ DWORD64, *PDWORD64;

typedef __INT64_TYPE__ INT_PTR, *PINT_PTR;
typedef __UINT64_TYPE__ UINT_PTR, *PUINT_PTR;
typedef __INT64_TYPE__ LONG_PTR, *PLONG_PTR;
typedef __UINT64_TYPE__ ULONG_PTR, *PULONG_PTR;
typedef ULONG_PTR DWORD_PTR, *PDWORD_PTR;
typedef ULONG_PTR SIZE_T, *PSIZE_T;
typedef LONG_PTR SSIZE_T, *PSSIZE_T;
typedef ULONG_PTR KAFFINITY, *PKAFFINITY;

#define MAXUINT8     ((UINT8) ~(UINT8)0)
#define MAXUINT16    ((UINT16) ~(UINT16)0)
#define MAXUINT32    ((UINT32) ~(UINT32)0)
#define MAXUINT64    ((UINT64) ~(UINT64)0)
#define MAXINT32     ((INT32)(MAXUINT32 >> 1))
#define MAXINT64     ((INT64)(MAXUINT64 >> 1))
#define MAXULONG32   ((ULONG32) ~(ULONG32)0)
#define MAXULONG64   ((ULONG64) ~(ULONG64)0)
#define MAXULONG_PTR (~(ULONG_PTR)0)
#define MAXSIZE_T    ((SIZE_T) ~(SIZE_T)0)

#define HandleToULong(h) ((ULONG)(ULONG_PTR)(h))
#define HandleToUlong(h) HandleToULong(h)
#define ULongToHandle(v) ((HANDLE)(ULONG_PTR)(v))
#define UlongToHandle(v) ULongToHandle(v)
#define LongToHandle(v)  ((HANDLE)(LONG_PTR)(v))
#define PtrToUlong(p)    ((ULONG)(ULONG_PTR)(p))
#define PtrToLong(p)     ((LONG)(LONG_PTR)(p))
#define UlongToPtr(v)    ((VOID *)(ULONG_PTR)(v))
#define LongToPtr(v)     ((VOID *)(LONG_PTR)(v))
