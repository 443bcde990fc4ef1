/* Brackets; see bracket.h. */
#include "bracket.h"

#include "operation.h"

VOID RplOutOfOrder(UINT32 SetId)
{
    static const REPL_BRACKET_INFO info = {.Reason = ReplBracketOrder};
    RPL_INTENT intent = {
        .Type = ReplRecordBracket, .Flags = REPL_FLAG_OPEN, .SetId = SetId, .NamesOnly = TRUE};

    RplRecord(&intent, &info, sizeof(info));
}

VOID RplBracketEnd(UINT32 SetId, UINT64 Bracket)
{
    static const REPL_BRACKET_INFO info = {0};
    RPL_INTENT intent = {.Type = ReplRecordBracket,
                         .Flags = REPL_FLAG_CLOSE,
                         .SetId = SetId,
                         .Bracket = Bracket,
                         .NamesOnly = TRUE};

    RplRecord(&intent, &info, sizeof(info));
}
