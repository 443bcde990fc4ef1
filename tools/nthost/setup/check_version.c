/*
 * [Version].
 * WDK: "INF Version Section", "INF DriverVer Directive".
 */
#include "check.h"
#include <stdlib.h>
#include <string.h>

/* WDK: "System-Defined Device Setup Classes Available to Vendors", and those of minifilters. */
static const struct {
    const char *name, *guid;
} classes[] = {
    {"Battery", "{72631e54-78a4-11d0-bcf7-00aa00b7b32a}"},
    {"Biometric", "{53d29ef7-377c-4d14-864b-eb3a85769359}"},
    {"Bluetooth", "{e0cbf06c-cd8b-4647-bb8a-263b43f0f974}"},
    {"Camera", "{ca3e7ab9-b4c3-4ae6-8251-579ef933890f}"},
    {"CDROM", "{4d36e965-e325-11ce-bfc1-08002be10318}"},
    {"DiskDrive", "{4d36e967-e325-11ce-bfc1-08002be10318}"},
    {"Display", "{4d36e968-e325-11ce-bfc1-08002be10318}"},
    {"Extension", "{e2f84ce7-8efa-411c-aa69-97454ca4cb57}"},
    {"HDC", "{4d36e96a-e325-11ce-bfc1-08002be10318}"},
    {"HIDClass", "{745a17a0-74d3-11d0-b6fe-00a0c90f57da}"},
    {"Image", "{6bdd1fc6-810f-11d0-bec7-08002be2092f}"},
    {"Keyboard", "{4d36e96b-e325-11ce-bfc1-08002be10318}"},
    {"Media", "{4d36e96c-e325-11ce-bfc1-08002be10318}"},
    {"Modem", "{4d36e96d-e325-11ce-bfc1-08002be10318}"},
    {"Monitor", "{4d36e96e-e325-11ce-bfc1-08002be10318}"},
    {"Mouse", "{4d36e96f-e325-11ce-bfc1-08002be10318}"},
    {"Net", "{4d36e972-e325-11ce-bfc1-08002be10318}"},
    {"NetClient", "{4d36e973-e325-11ce-bfc1-08002be10318}"},
    {"NetService", "{4d36e974-e325-11ce-bfc1-08002be10318}"},
    {"NetTrans", "{4d36e975-e325-11ce-bfc1-08002be10318}"},
    {"Ports", "{4d36e978-e325-11ce-bfc1-08002be10318}"},
    {"Printer", "{4d36e979-e325-11ce-bfc1-08002be10318}"},
    {"SCSIAdapter", "{4d36e97b-e325-11ce-bfc1-08002be10318}"},
    {"Sensor", "{5175d334-c371-4806-b3ba-71fd53c9258d}"},
    {"SmartCardReader", "{50dd5230-ba8a-11d1-bf5d-0000f805f530}"},
    {"SoftwareComponent", "{5c4c3332-344d-483c-8739-259e934c9cc8}"},
    {"System", "{4d36e97d-e325-11ce-bfc1-08002be10318}"},
    {"USBDevice", "{88bae032-5a81-49f0-bc3d-a4ff138216d6}"},
    {"Volume", "{71a27cdd-812a-11d0-bec7-08002be2092f}"},
    {"ActivityMonitor", "{b86dff51-a31e-4bac-b3cf-e8cfe75c9fc2}"},
    {"AntiVirus", "{b1d1a169-c54f-4379-81db-bee7d88d7454}"},
    {"ContentScreener", "{3e3f0674-c83c-4558-bb26-9820e1eba5c5}"},
    {"ContinuousBackup", "{71aa14f8-6fad-4622-ad77-92bb9d7e6947}"},
    {"Encryption", "{a0a701c0-a511-42ff-aa6c-06dc0395576f}"},
    {"HSM", "{d546500a-2aeb-45f6-9482-f4b1799c3177}"},
    {"Replication", "{48d3ebc4-4cf8-48ff-b869-9c68ad42eb9f}"},
    {"Undelete", "{fe8f1572-c67a-48c0-bbac-0b5c6d66cafb}"},
    {"Virtualization", "{f75a86c0-10d8-4c3a-b233-ed60e4cdfaac}"},
};

static void check_class(struct rule_report *report, const struct inf_section *version,
                        struct package *package)
{
    const struct inf_line *name = inf_entry(version, "Class"),
                          *guid = inf_entry(version, "ClassGuid");
    package->class_name = inf_text(name, 0);
    package->class_guid = inf_text(guid, 0);
    size_t length = text_utf16_length(package->class_name);
    bool good_name = length >= 1 && length <= 31, good_guid = text_is_guid(package->class_guid);
    if (!good_name)
        rule_broken(report, RuleClass, name ? name->line : version->line,
                    "[Version] %s; name the setup class, such as NetService",
                    length ? "has a Class of more than 31 characters" : "has no Class");
    if (!good_guid)
        rule_broken(
            report, RuleClassGuid, guid ? guid->line : version->line,
            "[Version] has no ClassGuid of the form {xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}");
    if (!good_name || !good_guid)
        return;
    for (unsigned i = 0; i < sizeof classes / sizeof *classes; i++) {
        bool same_name = text_same(package->class_name, classes[i].name),
             same_guid = text_same(package->class_guid, classes[i].guid);
        if (same_name != same_guid) {
            rule_broken(report, RuleClassMismatch, guid->line,
                        "the ClassGuid of %s is %s; correct Class or ClassGuid", classes[i].name,
                        classes[i].guid);
            return;
        }
    }
}

static bool valid_date(const char *text)
{
    static const unsigned days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (strlen(text) != 10 || text[2] != '/' || text[5] != '/')
        return false;
    for (unsigned i = 0; i < 10; i++)
        if (i != 2 && i != 5 && (text[i] < '0' || text[i] > '9'))
            return false;
    unsigned month = (unsigned)atoi(text), day = (unsigned)atoi(text + 3),
             year = (unsigned)atoi(text + 6);
    bool leap = (year % 4 == 0 && year % 100) || year % 400 == 0;
    return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] &&
           (month != 2 || day < 29 || leap) && year >= 1980;
}

static bool valid_version(struct inf *inf, const char *text)
{
    char *copy = arena_strdup(&inf->arena, text), *at = copy;
    unsigned parts = 0;
    for (char *part; (part = strsep(&at, ".")); parts++) {
        uint64_t value;
        if (text_starts(part, "0x") || !text_number(part, 65534, &value))
            return false;
    }
    return parts == 4;
}

static void check_driver_ver(struct inf *inf, struct rule_report *report,
                             const struct inf_section *version, struct package *package)
{
    const struct inf_line *entry = inf_entry(version, "DriverVer");
    package->date = inf_text(entry, 0);
    package->version = inf_text(entry, 1);
    if (!entry || !*package->date) {
        rule_broken(report, RuleDriverVer, entry ? entry->line : version->line,
                    "[Version] has no DriverVer; add DriverVer = mm/dd/yyyy,w.x.y.z");
        return;
    }
    if (!valid_date(package->date))
        rule_broken(report, RuleDriverDate, entry->line,
                    "\"%s\" is no date; write mm/dd/yyyy with leading zeros", package->date);
    if (!valid_version(inf, package->version))
        rule_broken(report, RuleDriverVersion, entry->line,
                    "\"%s\" is no version; write w.x.y.z, each 0 to 65534", package->version);
}

static void check_catalog(struct rule_report *report, const struct inf_section *version,
                          struct package *package)
{
    static const char *const keys[] = {"CatalogFile", "CatalogFile.NT", "CatalogFile.NTamd64",
                                       NULL};
    const struct inf_line *entry = NULL;
    for (unsigned i = 0; keys[i]; i++)
        if (inf_entry(version, keys[i]))
            entry = inf_entry(version, keys[i]);
    package->catalog = inf_text(entry, 0);
    if (!entry || !*package->catalog)
        rule_broken(report, RuleCatalogFile, entry ? entry->line : version->line,
                    "[Version] has no CatalogFile; without one the package cannot be signed");
    else if (!text_ends(package->catalog, ".cat") || strlen(package->catalog) < 5 ||
             strpbrk(package->catalog, "/\\:"))
        rule_broken(report, RuleCatalogName, entry->line,
                    "\"%s\" is no catalogue; name a file that ends in .cat and lies beside the INF",
                    package->catalog);
}

void check_version(struct inf *inf, struct rule_report *report, struct package *package)
{
    static const char *const known[] = {"Signature",           "Class",
                                        "ClassGuid",           "Provider",
                                        "CatalogFile",         "CatalogFile.NT",
                                        "CatalogFile.NTamd64", "CatalogFile.NTx86",
                                        "CatalogFile.NTarm",   "CatalogFile.NTarm64",
                                        "DriverVer",           "PnpLockdown",
                                        "ExtensionId",         "DriverPackageDisplayName",
                                        "DriverPackageType",   NULL};
    struct check c = {.inf = inf, .report = report};
    struct inf_section *version = check_system_section(inf, "Version");
    package->class_name = package->class_guid = package->provider = package->date =
        package->version = package->catalog = "";
    if (!version) {
        rule_broken(report, RuleSignature, 0,
                    "the INF has no [Version] section; add one with Signature = \"$Windows NT$\"");
        return;
    }
    for (unsigned i = 0; i < version->count; i++) {
        check_directive(&c, version, &version->lines[i], known);
        check_once(&c, version, &version->lines[i]);
    }

    const struct inf_line *signature = inf_entry(version, "Signature");
    if (!text_same(inf_text(signature, 0), "$Windows NT$"))
        rule_broken(report, RuleSignature, signature ? signature->line : version->line,
                    "[Version] needs Signature = \"$Windows NT$\"");
    check_class(report, version, package);

    const struct inf_line *provider = inf_entry(version, "Provider");
    package->provider = inf_text(provider, 0);
    if (!*package->provider)
        rule_broken(report, RuleProvider, provider ? provider->line : version->line,
                    "[Version] has no Provider; name the organization that wrote the INF");
    else if (text_starts(package->provider, "Microsoft"))
        rule_broken(report, RuleProviderMicrosoft, provider->line,
                    "Provider cannot be Microsoft; name the organization that wrote the INF");

    check_driver_ver(inf, report, version, package);
    check_catalog(report, version, package);

    const struct inf_line *lockdown = inf_entry(version, "PnpLockdown");
    uint64_t value;
    if (!text_number(inf_text(lockdown, 0), 1, &value) || value != 1)
        rule_broken(report, RulePnpLockdown, lockdown ? lockdown->line : version->line,
                    "[Version] needs PnpLockdown = 1, so that nobody else changes the files");
}
