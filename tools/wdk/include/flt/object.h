/*
 * Filters, volumes and instances. What a function returns in an out parameter is referenced:
 * FltObjectDereference.
 */
#pragma once

NTKERNELAPI NTSTATUS NTAPI FltObjectReference(_Inout_ PVOID FltObject);
NTKERNELAPI VOID NTAPI FltObjectDereference(_Inout_ PVOID FltObject);

NTKERNELAPI NTSTATUS NTAPI FltAttachVolume(
    _Inout_ PFLT_FILTER Filter, _Inout_ PFLT_VOLUME Volume, _In_opt_ PCUNICODE_STRING InstanceName,
    _Outptr_opt_result_maybenull_ PFLT_INSTANCE *RetInstance);
NTKERNELAPI NTSTATUS NTAPI
FltAttachVolumeAtAltitude(_Inout_ PFLT_FILTER Filter, _Inout_ PFLT_VOLUME Volume,
                          PCUNICODE_STRING Altitude, _In_opt_ PCUNICODE_STRING InstanceName,
                          _Outptr_opt_result_maybenull_ PFLT_INSTANCE *RetInstance);
NTKERNELAPI NTSTATUS NTAPI FltDetachVolume(_Inout_ PFLT_FILTER Filter, _Inout_ PFLT_VOLUME Volume,
                                           _In_opt_ PCUNICODE_STRING InstanceName);

NTKERNELAPI NTSTATUS NTAPI FltEnumerateFilters(_Out_writes_opt_(FilterListSize)
                                                   PFLT_FILTER *FilterList,
                                               ULONG FilterListSize,
                                               _Out_ PULONG NumberFiltersReturned);
NTKERNELAPI NTSTATUS NTAPI FltEnumerateVolumes(PFLT_FILTER Filter,
                                               _Out_writes_opt_(VolumeListSize)
                                                   PFLT_VOLUME *VolumeList,
                                               ULONG VolumeListSize,
                                               _Out_ PULONG NumberVolumesReturned);
NTKERNELAPI NTSTATUS NTAPI FltEnumerateInstances(_In_opt_ PFLT_VOLUME Volume,
                                                 _In_opt_ PFLT_FILTER Filter,
                                                 _Out_writes_opt_(InstanceListSize)
                                                     PFLT_INSTANCE *InstanceList,
                                                 ULONG InstanceListSize,
                                                 _Out_ PULONG NumberInstancesReturned);

NTKERNELAPI NTSTATUS NTAPI FltGetFilterFromName(PCUNICODE_STRING FilterName,
                                                _Outptr_ PFLT_FILTER *RetFilter);
NTKERNELAPI NTSTATUS NTAPI FltGetFilterFromInstance(PFLT_INSTANCE Instance,
                                                    _Outptr_ PFLT_FILTER *RetFilter);
NTKERNELAPI NTSTATUS NTAPI FltGetVolumeFromName(PFLT_FILTER Filter, PCUNICODE_STRING VolumeName,
                                                _Outptr_ PFLT_VOLUME *RetVolume);
NTKERNELAPI NTSTATUS NTAPI FltGetVolumeFromFileObject(PFLT_FILTER Filter, PFILE_OBJECT FileObject,
                                                      _Outptr_ PFLT_VOLUME *RetVolume);
NTKERNELAPI NTSTATUS NTAPI FltGetVolumeFromDeviceObject(PFLT_FILTER Filter,
                                                        PDEVICE_OBJECT DeviceObject,
                                                        _Outptr_ PFLT_VOLUME *RetVolume);
NTKERNELAPI NTSTATUS NTAPI FltGetVolumeFromInstance(PFLT_INSTANCE Instance,
                                                    _Outptr_ PFLT_VOLUME *RetVolume);
NTKERNELAPI NTSTATUS NTAPI FltGetVolumeInstanceFromName(_In_opt_ PFLT_FILTER Filter,
                                                        PFLT_VOLUME Volume,
                                                        _In_opt_ PCUNICODE_STRING InstanceName,
                                                        _Outptr_ PFLT_INSTANCE *RetInstance);
NTKERNELAPI NTSTATUS NTAPI FltGetTopInstance(PFLT_VOLUME Volume, _Outptr_ PFLT_INSTANCE *Instance);
NTKERNELAPI NTSTATUS NTAPI FltGetBottomInstance(PFLT_VOLUME Volume,
                                                _Outptr_ PFLT_INSTANCE *Instance);
NTKERNELAPI NTSTATUS NTAPI FltGetUpperInstance(PFLT_INSTANCE CurrentInstance,
                                               _Outptr_ PFLT_INSTANCE *UpperInstance);
NTKERNELAPI NTSTATUS NTAPI FltGetLowerInstance(PFLT_INSTANCE CurrentInstance,
                                               _Outptr_ PFLT_INSTANCE *LowerInstance);
NTKERNELAPI LONG NTAPI FltCompareInstanceAltitudes(PFLT_INSTANCE Instance1,
                                                   PFLT_INSTANCE Instance2);

NTKERNELAPI NTSTATUS NTAPI FltGetVolumeName(PFLT_VOLUME Volume,
                                            _Inout_opt_ PUNICODE_STRING VolumeName,
                                            _Out_opt_ PULONG BufferSizeNeeded);
NTKERNELAPI NTSTATUS NTAPI FltGetVolumeGuidName(PFLT_VOLUME Volume,
                                                _Out_opt_ PUNICODE_STRING VolumeGuidName,
                                                _Out_opt_ PULONG BufferSizeNeeded);
NTKERNELAPI NTSTATUS NTAPI FltGetVolumeProperties(PFLT_VOLUME Volume,
                                                  _Out_writes_bytes_to_opt_(VolumePropertiesLength,
                                                                            *LengthReturned)
                                                      PFLT_VOLUME_PROPERTIES VolumeProperties,
                                                  ULONG VolumePropertiesLength,
                                                  _Out_ PULONG LengthReturned);
NTKERNELAPI NTSTATUS NTAPI FltGetFileSystemType(PVOID FltObject,
                                                _Out_ PFLT_FILESYSTEM_TYPE FileSystemType);
NTKERNELAPI NTSTATUS NTAPI FltIsVolumeWritable(PVOID FltObject, _Out_ PBOOLEAN IsWritable);
NTKERNELAPI NTSTATUS NTAPI FltIsVolumeSnapshot(PVOID FltObject, _Out_ PBOOLEAN IsSnapshotVolume);
NTKERNELAPI NTSTATUS NTAPI FltGetDiskDeviceObject(PFLT_VOLUME Volume,
                                                  _Outptr_ PDEVICE_OBJECT *DiskDeviceObject);
NTKERNELAPI NTSTATUS NTAPI FltGetDeviceObject(PFLT_VOLUME Volume,
                                              _Outptr_ PDEVICE_OBJECT *DeviceObject);
NTKERNELAPI BOOLEAN NTAPI FltIsFltMgrVolumeDeviceObject(PDEVICE_OBJECT DeviceObject);
