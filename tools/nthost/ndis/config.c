/*
 * Configuration: a driver's or a module's part of the registry.
 *
 * WDK: NdisOpenConfigurationEx, NdisReadConfiguration, NdisWriteConfiguration,
 * NdisOpenConfigurationKeyByName, NdisReadNetworkAddress, "Accessing Configuration Information for
 * a Filter Driver".
 *
 *   filter driver    ...\Services\<service>\Parameters
 *   filter module    ...\Services\<service>\Parameters\Adapters\{adapter}
 *   with NDIS_CONFIG_FLAG_FILTER_INSTANCE_CONFIGURATION   ...\{adapter}\<FilterModuleGuidName>
 *
 * What was read lives until the handle is closed.
 */
#include "stack.h"
#include <nthost/registry.h>
#include <nthost/utf.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VALUE 4096

struct config_value {
    struct config_value *next;
    NDIS_CONFIGURATION_PARAMETER parameter;
    _Alignas(16) UCHAR data[];
};

struct config {
    char path[512];
    struct config_value *values;
    struct track_entry *track;
};

static void narrow(char *to, size_t size, const WCHAR *from)
{
    size_t i = 0;
    for (; from[i] && i + 1 < size; i++)
        to[i] = (char)from[i];
    to[i] = 0;
}

static bool path_of(NDIS_HANDLE handle, ULONG flags, char *path, size_t size)
{
    const struct ndis_driver *driver = driver_of(handle);
    const struct ndis_module *module = handle;
    char adapter[64], instance[160];
    if (!driver)
        return false;
    if (driver == handle) {
        snprintf(path, size, REGISTRY_SERVICES "\\%s\\Parameters", driver->service);
        return true;
    }
    narrow(adapter, sizeof(adapter), module->node.adapter->guid);
    narrow(instance, sizeof(instance), module->name);
    bool one = flags & NDIS_CONFIG_FLAG_FILTER_INSTANCE_CONFIGURATION;
    snprintf(path, size, REGISTRY_SERVICES "\\%s\\Parameters\\Adapters\\%s%s%s", driver->service,
             adapter, one ? "\\" : "", one ? instance : "");
    return true;
}

static NDIS_STATUS open_path(const char *path, const void *caller, PNDIS_HANDLE handle)
{
    struct config *config = calloc(1, sizeof(*config));
    if (!config)
        return NDIS_STATUS_RESOURCES;
    snprintf(config->path, sizeof(config->path), "%s", path);
    if (!NT_SUCCESS(registry_create_key(path))) {
        free(config);
        return NDIS_STATUS_FAILURE;
    }
    config->track = track_add(TrackConfiguration, config, caller);
    *handle = config;
    return NDIS_STATUS_SUCCESS;
}

NDIS_STATUS NTAPI NdisOpenConfigurationEx(PNDIS_CONFIGURATION_OBJECT ConfigObject,
                                          PNDIS_HANDLE ConfigurationHandle)
{
    VF_ENTRY(PASSIVE_LEVEL);
    *ConfigurationHandle = NULL;
    if (vf_fault(VfFaultNdis))
        return NDIS_STATUS_RESOURCES;
    char path[512];
    if (ConfigObject->Header.Type != NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT ||
        ConfigObject->Header.Size < NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1 ||
        !path_of(ConfigObject->NdisHandle, ConfigObject->Flags, path, sizeof(path)))
        return NDIS_STATUS_FAILURE;
    return open_path(path, __builtin_return_address(0), ConfigurationHandle);
}
NT_EXPORT(NDIS, NdisOpenConfigurationEx);

VOID NTAPI NdisOpenConfigurationKeyByName(PNDIS_STATUS Status, NDIS_HANDLE ConfigurationHandle,
                                          PNDIS_STRING SubKeyName, PNDIS_HANDLE SubKeyHandle)
{
    VF_ENTRY(PASSIVE_LEVEL);
    struct config *config = ConfigurationHandle;
    char name[256], path[800];
    utf8_copy(name, sizeof(name), SubKeyName->Buffer, SubKeyName->Length / sizeof(WCHAR));
    snprintf(path, sizeof(path), "%s\\%s", config->path, name);
    *SubKeyHandle = NULL;
    if (vf_fault(VfFaultNdis))
        *Status = NDIS_STATUS_RESOURCES;
    else if (!registry_key_exists(path) || strlen(path) >= sizeof(config->path))
        *Status = NDIS_STATUS_FAILURE;
    else
        *Status = open_path(path, __builtin_return_address(0), SubKeyHandle);
}
NT_EXPORT(NDIS, NdisOpenConfigurationKeyByName);

VOID NTAPI NdisCloseConfiguration(NDIS_HANDLE ConfigurationHandle)
{
    VF_ENTRY(PASSIVE_LEVEL);
    struct config *config = ConfigurationHandle;
    for (struct config_value *value = config->values; value;) {
        struct config_value *next = value->next;
        free(value);
        value = next;
    }
    track_remove(config->track);
    free(config);
}
NT_EXPORT(NDIS, NdisCloseConfiguration);

static struct config_value *value_new(struct config *config, size_t bytes)
{
    struct config_value *value = calloc(1, sizeof(*value) + bytes + sizeof(WCHAR));
    if (value) {
        value->next = config->values;
        config->values = value;
    }
    return value;
}

/* An integer may be written as a string, decimal or (NdisParameterHexInteger) hexadecimal. */
static ULONG to_integer(const WCHAR *text, NDIS_PARAMETER_TYPE type)
{
    char digits[32];
    narrow(digits, sizeof(digits), text);
    return (ULONG)strtoul(digits, NULL, type == NdisParameterHexInteger ? 16 : 10);
}

static NDIS_STATUS make_parameter(struct config_value *value, ULONG type, ULONG bytes,
                                  NDIS_PARAMETER_TYPE wanted)
{
    NDIS_CONFIGURATION_PARAMETER *p = &value->parameter;
    bool integer = wanted == NdisParameterInteger || wanted == NdisParameterHexInteger;
    switch (type) {
    case REG_DWORD:
        p->ParameterType = integer ? wanted : NdisParameterInteger;
        memcpy(&p->ParameterData.IntegerData, value->data, sizeof(ULONG));
        return NDIS_STATUS_SUCCESS;
    case REG_SZ:
    case REG_EXPAND_SZ:
    case REG_MULTI_SZ:
        if (type != REG_MULTI_SZ && integer) {
            p->ParameterType = wanted;
            p->ParameterData.IntegerData = to_integer((const WCHAR *)value->data, wanted);
            return NDIS_STATUS_SUCCESS;
        }
        p->ParameterType = type == REG_MULTI_SZ ? NdisParameterMultiString : NdisParameterString;
        p->ParameterData.StringData.Buffer = (PWSTR)value->data;
        p->ParameterData.StringData.MaximumLength = (USHORT)bytes;
        if (bytes >= sizeof(WCHAR) && !((const WCHAR *)value->data)[bytes / sizeof(WCHAR) - 1])
            bytes -= sizeof(WCHAR);
        p->ParameterData.StringData.Length = (USHORT)bytes;
        return NDIS_STATUS_SUCCESS;
    case REG_BINARY:
        p->ParameterType = NdisParameterBinary;
        p->ParameterData.BinaryData.Buffer = value->data;
        p->ParameterData.BinaryData.Length = (USHORT)bytes;
        return NDIS_STATUS_SUCCESS;
    default:
        return NDIS_STATUS_FAILURE;
    }
}

/* Names that are answered without the registry. */
static bool predefined(const char *name, NDIS_CONFIGURATION_PARAMETER *parameter)
{
    enum { NdisProcessorAmd64 = 8 };
    ULONG value;
    if (!strcmp(name, "NdisVersion"))
        value = NDIS_RUNTIME_VERSION_685;
    else if (!strcmp(name, "ProcessorType"))
        value = NdisProcessorAmd64;
    else
        return false;
    parameter->ParameterType = NdisParameterInteger;
    parameter->ParameterData.IntegerData = value;
    return true;
}

static NDIS_STATUS read_value(struct config *config, const char *name, NDIS_PARAMETER_TYPE type,
                              PNDIS_CONFIGURATION_PARAMETER *parameter)
{
    struct config_value *value = value_new(config, MAX_VALUE);
    if (!value)
        return NDIS_STATUS_RESOURCES;
    *parameter = &value->parameter;
    if (predefined(name, &value->parameter))
        return NDIS_STATUS_SUCCESS;
    ULONG bytes = MAX_VALUE, kind = 0;
    if (!NT_SUCCESS(registry_get(config->path, name, &kind, value->data, &bytes)))
        return NDIS_STATUS_FAILURE;
    return make_parameter(value, kind, bytes, type);
}

VOID NTAPI NdisReadConfiguration(PNDIS_STATUS Status, PNDIS_CONFIGURATION_PARAMETER *ParameterValue,
                                 NDIS_HANDLE ConfigurationHandle, PNDIS_STRING Keyword,
                                 NDIS_PARAMETER_TYPE ParameterType)
{
    VF_ENTRY(PASSIVE_LEVEL);
    *ParameterValue = NULL;
    if (vf_fault(VfFaultNdis)) {
        *Status = NDIS_STATUS_RESOURCES;
        return;
    }
    char name[256];
    utf8_copy(name, sizeof(name), Keyword->Buffer, Keyword->Length / sizeof(WCHAR));
    *Status = read_value(ConfigurationHandle, name, ParameterType, ParameterValue);
    if (*Status != NDIS_STATUS_SUCCESS)
        *ParameterValue = NULL;
}
NT_EXPORT(NDIS, NdisReadConfiguration);

/* Strings are stored with their terminator, which need not be there yet. */
static NTSTATUS set_text(const struct config *config, const char *name, ULONG type,
                         const NDIS_STRING *text)
{
    WCHAR *copy = calloc(1, text->Length + sizeof(WCHAR));
    if (!copy)
        return STATUS_INSUFFICIENT_RESOURCES;
    memcpy(copy, text->Buffer, text->Length);
    NTSTATUS status = registry_set(config->path, name, type, copy, text->Length + sizeof(WCHAR));
    free(copy);
    return status;
}

static NTSTATUS set_parameter(const struct config *config, const char *name,
                              const NDIS_CONFIGURATION_PARAMETER *p)
{
    switch (p->ParameterType) {
    case NdisParameterInteger:
    case NdisParameterHexInteger:
        return registry_set(config->path, name, REG_DWORD, &p->ParameterData.IntegerData,
                            sizeof(ULONG));
    case NdisParameterString:
        return set_text(config, name, REG_SZ, &p->ParameterData.StringData);
    case NdisParameterMultiString:
        return set_text(config, name, REG_MULTI_SZ, &p->ParameterData.StringData);
    case NdisParameterBinary:
        return registry_set(config->path, name, REG_BINARY, p->ParameterData.BinaryData.Buffer,
                            p->ParameterData.BinaryData.Length);
    }
    return STATUS_NOT_SUPPORTED;
}

VOID NTAPI NdisWriteConfiguration(PNDIS_STATUS Status, NDIS_HANDLE ConfigurationHandle,
                                  PNDIS_STRING Keyword,
                                  PNDIS_CONFIGURATION_PARAMETER ParameterValue)
{
    VF_ENTRY(PASSIVE_LEVEL);
    struct config *config = ConfigurationHandle;
    char name[256];
    utf8_copy(name, sizeof(name), Keyword->Buffer, Keyword->Length / sizeof(WCHAR));
    NTSTATUS status = vf_fault(VfFaultRegistry) ? STATUS_INSUFFICIENT_RESOURCES
                                                : set_parameter(config, name, ParameterValue);
    *Status = NT_SUCCESS(status)                        ? NDIS_STATUS_SUCCESS
              : status == STATUS_INSUFFICIENT_RESOURCES ? NDIS_STATUS_RESOURCES
              : status == STATUS_NOT_SUPPORTED          ? NDIS_STATUS_NOT_SUPPORTED
                                                        : NDIS_STATUS_FAILURE;
}
NT_EXPORT(NDIS, NdisWriteConfiguration);

static int digit(WCHAR c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

VOID NTAPI NdisReadNetworkAddress(PNDIS_STATUS Status, PVOID *NetworkAddress,
                                  PUINT NetworkAddressLength, NDIS_HANDLE ConfigurationHandle)
{
    VF_ENTRY(PASSIVE_LEVEL);
    struct config *config = ConfigurationHandle;
    PNDIS_CONFIGURATION_PARAMETER parameter;
    *Status = vf_fault(VfFaultNdis)
                  ? NDIS_STATUS_RESOURCES
                  : read_value(config, "NetworkAddress", NdisParameterString, &parameter);
    *NetworkAddressLength = 0;
    if (*Status != NDIS_STATUS_SUCCESS || parameter->ParameterType != NdisParameterString) {
        *Status = NDIS_STATUS_FAILURE;
        return;
    }
    struct config_value *value = value_new(config, 64);
    const NDIS_STRING *text = &parameter->ParameterData.StringData;
    unsigned nibbles = 0;
    for (unsigned i = 0; value && i < text->Length / sizeof(WCHAR) && nibbles < 128; i++) {
        int d = digit(text->Buffer[i]);
        if (d < 0)
            continue;
        value->data[nibbles / 2] = (UCHAR)(value->data[nibbles / 2] << 4 | d);
        nibbles++;
    }
    *Status = value && nibbles ? NDIS_STATUS_SUCCESS : NDIS_STATUS_FAILURE;
    if (*Status == NDIS_STATUS_SUCCESS) {
        *NetworkAddress = value->data;
        *NetworkAddressLength = nibbles / 2;
    }
}
NT_EXPORT(NDIS, NdisReadNetworkAddress);
