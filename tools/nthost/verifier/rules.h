/* What each rule says and where Windows' documentation says it. */
#pragma once
#include <nthost/verifier.h>

struct vf_rule_text {
    const char *name;
    const char *text;
    const char *page; /* title of the page in the WDK documentation */
};
extern const struct vf_rule_text vf_rules[VF_RULE_COUNT];
