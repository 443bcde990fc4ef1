/* What fltpass tells at its port \FltPass. */
#pragma once

#define FLTPASS_PORT L"\\FltPass"

/* Messages: a UINT32. */
enum {
    FltPassCounters = 1, /* -> FLTPASS_COUNTERS */
    FltPassAsk = 2       /* it sends a UINT32 to its client, whose reply must be that + 1 */
};

typedef struct FLTPASS_COUNTERS {
    UINT64 Pre[32]; /* by major function; [31]: what is no IRP */
    UINT64 Post[32];
    UINT64 Connections;
    UINT64 Asked;
    UINT64 Replied;   /* rightly */
    INT32 LastStatus; /* of FltSendMessage */
    UINT32 Reserved;
} FLTPASS_COUNTERS;
