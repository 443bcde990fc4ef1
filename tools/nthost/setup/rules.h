/*
 * The rules that an INF must keep: name, the WDK page that states it, what it says. All are errors.
 * They are those of Windows 11 and Server 2022 or later, x64, as `InfVerif /w` applies them, and
 * those of NDIS filters, KMDF drivers and minifilters, which Windows checks late or never. The
 * numbers are InfVerif's where it has the same rule.
 */
#pragma once
#include <nthost/setup.h>
#include <stdarg.h>

/* clang-format off */
#define SETUP_RULES(X)                                                                             \
    /* Text */                                                                                     \
    X(Encoding, "INF Validation Errors and Warnings (1003)",                                       \
      "the file is UTF-16 LE with a byte order mark, or ASCII, without control characters")        \
    X(SectionHeader, "General Syntax Rules for INF Files",                                         \
      "a section header is [name] alone on its line; a name has 1 to 255 characters")              \
    X(EntryOutsideSection, "General Syntax Rules for INF Files",                                   \
      "every entry belongs to a section")                                                          \
    X(QuoteUnterminated, "General Syntax Rules for INF Files",                                     \
      "a quoted string ends on the line on which it begins")                                       \
    X(Continuation, "General Syntax Rules for INF Files",                                          \
      "a line that ends in a backslash is continued by an entry's text on the next")               \
    X(FieldTooLong, "General Syntax Rules for INF Files",                                          \
      "a field has at most 4095 characters, before and after its strings are put in")              \
    X(ArchToken, "INF Validation Errors and Warnings (1274)",                                      \
      "$ARCH$, $KMDFVERSION$ and the like are resolved by stampinf before the INF is used")        \
    X(StringToken, "INF Strings Section",                                                          \
      "percent signs come in pairs: %token%, or %% for the character itself")                      \
    X(StringUndefined, "INF Validation Errors and Warnings (1235)",                                \
      "every %token% is defined in [Strings]")                                                     \
    X(StringsLocalized, "INF Validation Errors and Warnings (1295)",                               \
      "a [Strings.LanguageID] section defines the same tokens as [Strings]")                       \
    X(SectionDuplicate, "INF Validation Errors and Warnings (1209)",                               \
      "a section is defined once")                                                                 \
    X(KeyDuplicate, "INF Validation Errors and Warnings (1088, 1294)",                             \
      "an entry of which only one can take effect is given once")                                  \
    X(SectionMissing, "INF Validation Errors and Warnings (1203)",                                 \
      "every section that a directive names exists")                                               \
    X(SectionUnused, "INF Validation Errors and Warnings (2083)",                                  \
      "every section is named by a directive or by the system")                                    \
    X(SectionKind, "INF Validation Errors and Warnings (1205, 1206)",                              \
      "a section serves one kind of directive")                                                    \
    X(SectionLegacy, "Using a Universal INF File",                                                 \
      "no ClassInstall32, CoInstallers, LogConfigOverride or FactDef section")                     \
    X(DirectiveUnknown, "INF Validation Errors and Warnings (1290)",                               \
      "a section holds only directives that it knows, with their values")                          \
    X(DirectiveLegacy, "INF Validation Errors and Warnings (1300, 1308)",                          \
      "an INF only adds: no DelFiles, RenFiles, DelReg, RegisterDlls and the like")                \
    X(HostUnsupported, "Summary of INF Sections",                                                  \
      "what the INF asks for is something that the driver host can do")                            \
    /* [Version] */                                                                                \
    X(Signature, "INF Version Section",                                                            \
      "[Version] exists and has Signature = \"$Windows NT$\"")                                     \
    X(Class, "INF Version Section",                                                                \
      "[Version] has a Class of 1 to 31 characters")                                               \
    X(ClassGuid, "INF Version Section",                                                            \
      "[Version] has a ClassGuid of the form {xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}")              \
    X(ClassMismatch, "System-Defined Device Setup Classes Available to Vendors",                   \
      "ClassGuid is the one of Class")                                                             \
    X(Provider, "INF Version Section",                                                             \
      "[Version] has a Provider")                                                                  \
    X(ProviderMicrosoft, "INF Validation Errors and Warnings (1204)",                              \
      "Provider is who wrote the INF, not Microsoft")                                              \
    X(DriverVer, "INF DriverVer Directive",                                                        \
      "[Version] has DriverVer = mm/dd/yyyy,w.x.y.z")                                              \
    X(DriverDate, "INF DriverVer Directive",                                                       \
      "the date of DriverVer is a day of the calendar, mm/dd/yyyy")                                \
    X(DriverVersion, "INF DriverVer Directive",                                                    \
      "the version of DriverVer is w.x.y.z, each part 0 to 65534")                                 \
    X(CatalogFile, "INF Validation Errors and Warnings (1233)",                                    \
      "[Version] names the CatalogFile that carries the signature")                                \
    X(CatalogName, "INF Validation Errors and Warnings (1214)",                                    \
      "CatalogFile is a file name that ends in .cat")                                              \
    X(CatalogListed, "INF Validation Errors and Warnings (1213)",                                  \
      "the catalogue is not among [SourceDisksFiles]: Windows finds it beside the INF")            \
    X(PnpLockdown, "INF Validation Errors and Warnings (1324)",                                    \
      "[Version] has PnpLockdown = 1")                                                             \
    /* Entry points */                                                                             \
    X(EntryPoint, "Overview of INF Files",                                                         \
      "the INF has a [Manufacturer] or a [DefaultInstall.NTamd64] section")                        \
    X(EntryPointBoth, "INF Validation Errors and Warnings (1212)",                                 \
      "the INF does not have both [Manufacturer] and [DefaultInstall]")                            \
    X(ManufacturerEntry, "INF Manufacturer Section",                                               \
      "an entry of [Manufacturer] is name = models-section, decoration...")                        \
    X(TargetDecoration, "INF Manufacturer Section",                                                \
      "a decoration is NTarchitecture[.major[.minor[.product[.suite[.build]]]]]")                  \
    X(TargetBuild, "INF Validation Errors and Warnings (1288)",                                    \
      "a decoration with a build number is of Windows 10.0.14310 or later")                        \
    X(TargetArchitecture, "Creating a New Primitive Driver",                                       \
      "models and DefaultInstall sections carry an architecture, and amd64 is among them")         \
    X(ModelEntry, "INF Models Section",                                                            \
      "an entry of a models section is description = install-section, hardware-id")                \
    X(ComponentId, "INF Validation Errors and Warnings (2412, 2415)",                              \
      "a network component's id is provider_name in [a-z0-9_], not beginning with ms_ or vms_")    \
    X(DefaultUninstall, "Creating a New Primitive Driver",                                         \
      "[DefaultUninstall] is absent, or holds LegacyUninstall = 1")                                \
    X(DefaultInstallHkr, "INF AddReg Directive",                                                   \
      "a DefaultInstall section has no AddReg: there is no device that HKR could mean")            \
    /* Files */                                                                                    \
    X(CopyEntry, "INF CopyFiles Directive",                                                        \
      "a file to copy is destination[,source[,,flags]]")                                           \
    X(CopyFlags, "INF Validation Errors and Warnings (1103)",                                      \
      "CopyFiles flags are known ones; none about replacing a file that stays in the driver store")\
    X(FileName, "INF SourceDisksFiles Section",                                                    \
      "a file is named by its bare name; directories are relative and go down only")               \
    X(FileNotListed, "INF Validation Errors and Warnings (1230)",                                  \
      "every file to copy is listed in [SourceDisksFiles]")                                        \
    X(FileDisk, "INF Validation Errors and Warnings (1008, 1273)",                                 \
      "every file's disk id is listed in [SourceDisksNames]")                                      \
    X(FileDestination, "INF Validation Errors and Warnings (1275)",                                \
      "every CopyFiles section is listed in [DestinationDirs] with a directory id")                \
    X(FileNotIsolated, "Driver Package Isolation",                                                 \
      "files stay in the driver store: DIRID 13")                                                  \
    X(FileMoved, "INF Validation Errors and Warnings (1100)",                                      \
      "a file that stays in the driver store keeps its name and folder")                           \
    X(FileDiridTooNew, "NDIS Filter Driver Installation",                                          \
      "DIRID 13 is used only for builds that can run such a component from the driver store")      \
    /* Registry */                                                                                 \
    X(RegEntry, "INF AddReg Directive",                                                            \
      "an entry is root,[subkey],[value],[flags],[data]")                                          \
    X(RegRoot, "INF Validation Errors and Warnings (1224)",                                        \
      "the root is HKR, HKLM, HKCR, HKCU or HKU")                                                  \
    X(RegNotIsolated, "Driver Package Isolation",                                                  \
      "registry values lie under HKR")                                                             \
    X(RegFlags, "INF AddReg Directive",                                                            \
      "the flags are a number, of a known type, and do not contradict each other")                 \
    X(RegValue, "INF Validation Errors and Warnings (1267, 1268)",                                 \
      "the data is of the type that the flags say")                                                \
    X(RegAppend, "INF Validation Errors and Warnings (1305)",                                      \
      "values are set, not appended to or deleted")                                                \
    X(RegDuplicate, "INF Validation Errors and Warnings (1331, 1332)",                             \
      "a value is set once")                                                                       \
    X(Dirid, "Using Dirids (1242)",                                                                \
      "a directory id in a value is 10, 11, 12, 13, 17, 18, 20 or 24")                              \
    /* Services */                                                                                 \
    X(ServiceNone, "INF Validation Errors and Warnings (1296)",                                    \
      "every install section has a .Services section with an AddService")                          \
    X(ServiceName, "INF AddService Directive",                                                     \
      "a service has a name of 1 to 63 letters, digits, spaces, dots, dashes and underscores")     \
    X(ServiceFlags, "INF AddService Directive",                                                    \
      "AddService flags are known ones, and a driver that is no device's does not claim one")      \
    X(ServiceEntry, "INF AddService Directive",                                                    \
      "a service has ServiceType, StartType, ErrorControl and ServiceBinary")                      \
    X(ServiceType, "INF AddService Directive",                                                     \
      "ServiceType is 1, or 2 for a file system driver")                                           \
    X(ServiceStart, "INF AddService Directive",                                                    \
      "StartType is 0 (boot), 1 (system) or 3 (demand)")                                           \
    X(ServiceErrorControl, "INF AddService Directive",                                             \
      "ErrorControl is 0 to 3")                                                                    \
    X(ServiceBinary, "INF Validation Errors and Warnings (2085)",                                  \
      "ServiceBinary is %dirid%\\file.sys")                                                        \
    X(ServiceBinaryNotCopied, "InfVerif Error 2084",                                               \
      "ServiceBinary is a file that CopyFiles brings, where it brings it")                         \
    X(ServiceParameters, "INF Validation Errors and Warnings (1323)",                              \
      "a service's registry values lie under its Parameters key")                                  \
    X(ServiceDuplicate, "INF Validation Errors and Warnings (1333)",                               \
      "a service is added once an installation")                                                   \
    X(SecurityDescriptor, "Creating Secure Device Installations",                                  \
      "a security descriptor is a DACL in SDDL that grants SYSTEM and Administrators all")         \
    /* Network components */                                                                       \
    X(NetCharacteristics, "DDInstall Section in a Network INF File",                               \
      "a filter has Characteristics = 0x40000 (NCF_LW_FILTER), and never NCF_FILTER")              \
    X(NetInstanceId, "Configuring an INF File for a Modifying Filter Driver",                      \
      "a filter has a NetCfgInstanceId, a GUID in quotes and braces")                              \
    X(NdiService, "Adding Service-Related Values to the Ndi Key",                                  \
      "Ndi\\Service is the service that the INF adds")                                             \
    X(NdiCoServices, "Adding Service-Related Values to the Ndi Key",                               \
      "Ndi\\CoServices (multi-string) holds Ndi\\Service")                                         \
    X(FilterClass, "Configuring an INF File for a Modifying Filter Driver",                        \
      "a modifying filter has one of the documented values of FilterClass")                        \
    X(FilterType, "Types of Filter Drivers",                                                       \
      "FilterType is the DWORD 1 (monitoring) or 2 (modifying)")                                   \
    X(FilterRunType, "Mandatory Filter Drivers",                                                   \
      "FilterRunType is the DWORD 1 (mandatory) or 2 (optional)")                                  \
    X(FilterRange, "Specifying Filter Driver Binding Relationships",                               \
      "a filter's UpperRange is noupper and its LowerRange nolower")                               \
    X(FilterMediaTypes, "Specifying Filter Driver Binding Relationships",                          \
      "FilterMediaTypes lists the media that the filter binds to")                                 \
    X(FilterStart, "INF File Settings for Filter Drivers",                                         \
      "a filter starts with the system (1); an optional one may start on demand (3)")              \
    X(FilterLoadGroup, "Configuring an INF File for a Modifying Filter Driver",                    \
      "a filter's service has LoadOrderGroup = NDIS")                                              \
    /* Frameworks */                                                                               \
    X(WdfService, "Specifying WDF Directives in INF Files",                                        \
      "KmdfService names a service that the INF adds and a section with KmdfLibraryVersion")       \
    X(WdfVersion, "KMDF Version History",                                                          \
      "KmdfLibraryVersion is a released version, at most 1.33")                                    \
    X(WdfTarget, "KMDF Version History",                                                           \
      "the oldest Windows that the section is for has that version of KMDF")                       \
    X(FltService, "Creating an INF File for a Minifilter Driver",                                  \
      "a minifilter has ServiceType 2, an FSFilter load order group and depends on FltMgr")        \
    X(FltInstances, "Creating an INF File for a Minifilter Driver",                                \
      "a minifilter has a DefaultInstance and an Altitude for it, within its group's range")
/* clang-format on */

enum setup_rule {
#define X(name, page, text) Rule##name,
    SETUP_RULES(X)
#undef X
        RULE_COUNT
};

struct rule_text {
    const char *name, *page, *text;
};
extern const struct rule_text setup_rule_table[RULE_COUNT];

/* Where errors go. Equal ones are told once; `count` goes on beyond `max`. */
struct rule_report {
    const char *file;
    struct setup_error *errors;
    unsigned max, stored, count;
};
void rule_broken(struct rule_report *report, enum setup_rule rule, unsigned line,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* By line, as a reader meets them. */
void rule_report_sort(struct rule_report *report);
