/* libFuzzer: any bytes are an INF. */
#include "package.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct setup_error errors[4];
    struct rule_report report = {.file = "fuzz.inf", .errors = errors, .max = 4};
    struct package package = {0};
    struct inf inf = {0};
    bool installable;
    inf_parse(&inf, "fuzz.inf", data, bytes, &report);
    package_check(&inf, &report, HOST_BUILD, &package, &installable);
    rule_report_sort(&report);
    inf_free(&inf);
    return 0;
}
