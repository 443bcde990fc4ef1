/* SET_CONFIG: what is refused, why, and that a refusal changes nothing. */
#include "rig.h"

#include <string.h>

static const struct rig_text two_sets[] = {{"\\??\\X:\\shop", "*.db"},
                                           {"\\Device\\HarddiskVolume2\\papers\\", "a\\*"}};

/* One defect each, and the reason and index that the driver must name. */
struct defect {
    const char *name;
    void (*make)(struct rig_config *c);
    REPL_REFUSAL_REASON reason;
    UINT32 index;
};

#define DEFECT(name, statement)                                                                    \
    static void name(struct rig_config *c)                                                         \
    {                                                                                              \
        statement;                                                                                 \
    }
DEFECT(contract, c->header.Contract = 2)
DEFECT(bytes_low, c->header.Bytes -= 8)
DEFECT(name_bytes_low, c->header.NameBytes -= 2)
DEFECT(name_bytes_huge, c->header.NameBytes = 0xFFFFFFF0)
DEFECT(generation, c->header.Generation += 1)
DEFECT(no_stream, memset(c->header.StreamId, 0, 16))
DEFECT(many_sets, c->header.SetCount = REPL_MAX_SETS + 1)
DEFECT(sets_wrap, c->header.SetCount = 0x80000000)
DEFECT(many_rules, c->header.RuleCount = REPL_MAX_RULES + 1)
DEFECT(no_staging, c->header.StagingBytes = 0)
DEFECT(small_staging, c->header.StagingBytes = REPL_MIN_STAGING - 4096)
DEFECT(large_staging, c->header.StagingBytes = REPL_MAX_STAGING + 4096)
DEFECT(odd_staging, c->header.StagingBytes = REPL_MIN_STAGING + 8)
DEFECT(small_journal, c->header.JournalBytes = REPL_MIN_JOURNAL - 4096)
DEFECT(odd_journal, c->header.JournalBytes = REPL_MIN_JOURNAL + 512)
DEFECT(huge_journal, c->header.JournalBytes = 1ull << 60)
DEFECT(block, c->header.BlockMs = REPL_MAX_BLOCK_MS + 1)
DEFECT(set_reserved, c->sets[1].Reserved = 1)
DEFECT(set_zero, c->sets[0].SetId = 0)
DEFECT(set_all, c->sets[1].SetId = 0xFFFFFFFF)
DEFECT(set_twice, c->sets[1].SetId = 1)
DEFECT(set_mode, c->sets[1].Mode = 0)
DEFECT(set_mode_high, c->sets[0].Mode = 4)
DEFECT(root_empty, c->sets[1].RootLength = 0)
DEFECT(root_outside, c->sets[1].RootOffset = c->header.NameBytes)
DEFECT(root_far, c->sets[1].RootOffset = 0xFFFFFFFE)
DEFECT(root_long, c->sets[1].RootLength = 0xFFFFFFFE)
DEFECT(root_odd, c->sets[1].RootLength -= 1)
DEFECT(root_odd_offset, c->sets[1].RootOffset += 1)
DEFECT(root_relative, c->sets[1].RootOffset += 2; c->sets[1].RootLength -= 2)
DEFECT(root_zero, ((WCHAR *)c->names)[6] = 0)
DEFECT(root_star, ((WCHAR *)c->names)[8] = '*')
DEFECT(root_dot, ((WCHAR *)c->names)[7] = '.'; c->sets[0].RootLength = 16)
DEFECT(root_empty_component, ((WCHAR *)c->names)[7] = '\\')
DEFECT(root_no_link, ((WCHAR *)c->names)[4] = 'Q')
DEFECT(root_inside, c->sets[1].RootOffset = 0; c->sets[1].RootLength = c->sets[0].RootLength)
DEFECT(root_above, c->sets[1].RootOffset = 0; c->sets[1].RootLength = 6 * 2)
DEFECT(rule_set, c->rules[1].SetId = 3)
DEFECT(rule_kind, c->rules[1].Kind = 0)
DEFECT(rule_kind_high, c->rules[0].Kind = 5)
DEFECT(rule_value, c->rules[1].Value = 1)
DEFECT(rule_no_name, c->rules[1].NameLength = 0)
DEFECT(rule_outside, c->rules[1].NameOffset = c->header.NameBytes)
DEFECT(rule_odd, c->rules[1].NameLength += 1)
DEFECT(rule_size_zero, c->rules[1].Kind = ReplRuleMaxSize; c->rules[1].NameLength = 0;
       c->rules[1].NameOffset = 0)
DEFECT(rule_size_name, c->rules[1].Kind = ReplRuleMaxSize; c->rules[1].Value = 1)

#define NAMED(defect) #defect, defect
static const struct defect defects[] = {
    {NAMED(contract), ReplRefusalContract, 0},
    {NAMED(bytes_low), ReplRefusalLength, 0},
    {NAMED(name_bytes_low), ReplRefusalLength, 0},
    {NAMED(name_bytes_huge), ReplRefusalLength, 0},
    {NAMED(generation), ReplRefusalGeneration, 0},
    {NAMED(no_stream), ReplRefusalReserved, 0},
    {NAMED(many_sets), ReplRefusalCount, 0},
    {NAMED(sets_wrap), ReplRefusalCount, 0},
    {NAMED(many_rules), ReplRefusalCount, 0},
    {NAMED(no_staging), ReplRefusalStaging, 0},
    {NAMED(small_staging), ReplRefusalStaging, 0},
    {NAMED(large_staging), ReplRefusalStaging, 0},
    {NAMED(odd_staging), ReplRefusalStaging, 0},
    {NAMED(small_journal), ReplRefusalJournal, 0},
    {NAMED(odd_journal), ReplRefusalJournal, 0},
    {NAMED(huge_journal), ReplRefusalJournal, 0},
    {NAMED(block), ReplRefusalBound, 0},
    {NAMED(set_reserved), ReplRefusalReserved, 1},
    {NAMED(set_zero), ReplRefusalSetId, 0},
    {NAMED(set_all), ReplRefusalSetId, 1},
    {NAMED(set_twice), ReplRefusalSetId, 1},
    {NAMED(set_mode), ReplRefusalMode, 1},
    {NAMED(set_mode_high), ReplRefusalMode, 0},
    {NAMED(root_empty), ReplRefusalRoot, 1},
    {NAMED(root_outside), ReplRefusalRoot, 1},
    {NAMED(root_far), ReplRefusalRoot, 1},
    {NAMED(root_long), ReplRefusalRoot, 1},
    {NAMED(root_odd), ReplRefusalRoot, 1},
    {NAMED(root_odd_offset), ReplRefusalRoot, 1},
    {NAMED(root_relative), ReplRefusalRoot, 1},
    {NAMED(root_zero), ReplRefusalRoot, 0},
    {NAMED(root_star), ReplRefusalRoot, 0},
    {NAMED(root_dot), ReplRefusalRoot, 0},
    {NAMED(root_empty_component), ReplRefusalRoot, 0},
    {NAMED(root_no_link), ReplRefusalVolume, 0},
    {NAMED(root_inside), ReplRefusalRoot, 1},
    {NAMED(root_above), ReplRefusalRoot, 1},
    {NAMED(rule_set), ReplRefusalRule, 1},
    {NAMED(rule_kind), ReplRefusalRule, 1},
    {NAMED(rule_kind_high), ReplRefusalRule, 0},
    {NAMED(rule_value), ReplRefusalRule, 1},
    {NAMED(rule_no_name), ReplRefusalRule, 1},
    {NAMED(rule_outside), ReplRefusalRule, 1},
    {NAMED(rule_odd), ReplRefusalRule, 1},
    {NAMED(rule_size_zero), ReplRefusalRule, 1},
    {NAMED(rule_size_name), ReplRefusalRule, 1},
};

static ULONG get_config(struct rig *rig, UINT8 output[RIG_MAX_CONFIG])
{
    ULONG_PTR information = 0;

    memset(output, 0, RIG_MAX_CONFIG);
    is_status(rig_ioctl(rig, REPL_IOCTL_GET_CONFIG, NULL, 0, output, RIG_MAX_CONFIG, &information),
              STATUS_SUCCESS);
    return (ULONG)information;
}

NT_TEST(every_defect_of_a_configuration_is_refused_and_changes_nothing)
{
    struct rig rig = {0};
    struct rig_config config;
    UINT8 before[RIG_MAX_CONFIG], after[RIG_MAX_CONFIG];
    ULONG bytes;

    need(rig_boot(&rig, tap_seed()));
    rig_config(&config, 0, two_sets, 2, 2);
    need(is_status(rig_set_config(&rig, &config), STATUS_SUCCESS));
    is_status(rig_role(&rig, ReplRolePrimary, 1, 0), STATUS_SUCCESS);
    bytes = get_config(&rig, before);
    is_int(bytes, config.header.Bytes);
    is_int(((REPL_CONFIG *)before)->Generation, 1);
    for (unsigned i = 0; i < sizeof defects / sizeof *defects && !tap_failing(); i++) {
        REPL_REFUSAL refusal;

        tap_at("%s", defects[i].name);
        rig_config(&config, 1, two_sets, 2, 2);
        defects[i].make(&config);
        ok(!NT_SUCCESS(rig_ioctl(&rig, REPL_IOCTL_SET_CONFIG, config.bytes, bytes, NULL, 0, NULL)));
        refusal = rig_refusal(&rig);
        is_int(refusal.Reason, defects[i].reason);
        is_int(refusal.Index, defects[i].index);
        is_int(get_config(&rig, after), bytes);
        is_mem(after, before, bytes);
        is_int(rig_status(&rig).State, ReplStateJournal);
        is_int(rig_status(&rig).LastSequence, 1);
    }
    tap_at(NULL);
    rig_config(&config, 1, two_sets, 2, 2);
    is_status(rig_set_config(&rig, &config), STATUS_SUCCESS,
              "and the same without a defect is not");
    is_int(rig_status(&rig).LastSequence, 1, "nor does it begin anew");
    rig_end(&rig);
}

NT_TEST(a_configuration_is_in_force_after_a_restart)
{
    struct rig rig = {0};
    struct rig_config config;
    UINT8 before[RIG_MAX_CONFIG], after[RIG_MAX_CONFIG];
    ULONG bytes;

    need(rig_boot(&rig, tap_seed()));
    rig_config(&config, 0, two_sets, 2, 2);
    config.header.JournalBytes = REPL_MIN_JOURNAL;
    is_status(rig_set_config(&rig, &config), STATUS_SUCCESS);
    is_status(rig_role(&rig, ReplRolePrimary, 1, 0), STATUS_SUCCESS);
    bytes = get_config(&rig, before);
    rig_halt(&rig);
    need(rig_boot(&rig, tap_seed()));
    is_int(get_config(&rig, after), bytes);
    is_mem(after, before, bytes);
    REPL_STATUS status = rig_status(&rig);
    is_int(status.Role, ReplRolePrimary);
    is_int(status.State, ReplStateJournal, "it captures from its start on");
    is_int(status.Generation, 1);
    is_int(status.JournalBytes, REPL_MIN_JOURNAL);
    rig_end(&rig);
}

NT_TEST(a_set_keeps_its_root_and_a_primary_its_stream)
{
    static const struct rig_text other[] = {{"\\??\\X:\\elsewhere", "*"}};
    struct rig rig = {0};
    struct rig_config config;

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    rig_config(&config, 1, other, 1, 1);
    is_status(rig_set_config(&rig, &config), STATUS_INVALID_PARAMETER);
    is_int(rig_refusal(&rig).Reason, ReplRefusalSetId);
    rig_standard(&config, 1);
    config.header.StreamId[0] ^= 1;
    is_status(rig_set_config(&rig, &config), STATUS_INVALID_DEVICE_STATE);
    is_int(rig_refusal(&rig).Reason, ReplRefusalRole);
    is_int(rig_bookmark(&rig, 8), 2);
    is_status(rig_role(&rig, ReplRoleNone, 1, 0), STATUS_SUCCESS);
    is_status(rig_set_config(&rig, &config), STATUS_SUCCESS);
    is_status(rig_role(&rig, ReplRolePrimary, 2, 0), STATUS_SUCCESS);
    is_int(rig_status(&rig).LastSequence, 1, "a new stream");
    is_int(rig_status(&rig).OpenBrackets, 0);
    rig_end(&rig);
}

NT_TEST(no_sets_end_the_capture)
{
    struct rig rig = {0};
    struct rig_config config;

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    rig_config(&config, 1, NULL, 0, 0);
    is_status(rig_set_config(&rig, &config), STATUS_SUCCESS);
    is_int(rig_status(&rig).State, ReplStateIdle);
    is_int(rig_bookmark(&rig, 8), 0);
    rig_end(&rig);
}
