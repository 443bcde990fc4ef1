/* Structured exceptions are not used by our drivers; only the codes of a filter expression are
 * declared. */
#pragma once
#define EXCEPTION_EXECUTE_HANDLER    1
#define EXCEPTION_CONTINUE_SEARCH    0
#define EXCEPTION_CONTINUE_EXECUTION (-1)
