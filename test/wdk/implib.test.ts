/** Import libraries out of the export facts: a driver imports the functions that it uses, by name, and nothing else. */
import path from 'node:path';
import t from 'tap';
import { buildDriver, run, script, wdk } from './tools.js';

t.setTimeout(60_000);

const folder = t.testdir();
const made = script('implib.mjs', folder);
t.equal(made.status, 0, made.output);
const library = (name: string): string => path.join(folder, `${name}.lib`);

function imports(image: string): Record<string, string[]> {
  const read = `import { readImports } from ${JSON.stringify(path.join(wdk, 'pe.mjs'))};
console.log(JSON.stringify(Object.fromEntries(readImports(${JSON.stringify(image)}))));`;
  const { output } = run(process.execPath, ['--input-type=module', '-e', read]);
  return JSON.parse(output) as Record<string, string[]>;
}

const wdm = buildDriver(
  folder,
  'wdm',
  `#include <ndis.h>
DRIVER_INITIALIZE DriverEntry;
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    PVOID object;
    KIRQL irql;
    (void)DriverObject;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    KeLowerIrql(irql);
    NdisMSleep(1);
    return ObReferenceObjectByHandle(RegistryPath, 0, *IoFileObjectType, KernelMode, &object, NULL);
}
`,
  { libraries: ['ntoskrnl', 'ndis', 'netio', 'fltmgr', 'wdfldr'].map(library) },
);
t.same(imports(wdm), {
  'ntoskrnl.exe': ['IoFileObjectType', 'KeLowerIrql', 'KfRaiseIrql', 'ObReferenceObjectByHandle'],
  'ndis.sys': ['NdisMSleep'],
});

const kmdf = buildDriver(
  folder,
  'kmdf',
  `#include <wdf.h>
DRIVER_INITIALIZE DriverEntry;
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;
    WDF_DRIVER_CONFIG_INIT(&config, WDF_NO_EVENT_CALLBACK);
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, NULL);
}
`,
  {
    libraries: ['ntoskrnl', 'wdfldr'].map(library),
    entry: 'FxDriverEntry',
    extra: [path.join(wdk, 'kmdf/entry.c')],
  },
);
const { 'ntoskrnl.exe': kernel, ...rest } = imports(kmdf);
t.same(rest, { 'wdfldr.sys': ['WdfVersionBind', 'WdfVersionUnbind'] });
t.same(kernel, ['RtlCopyUnicodeString', 'memset']);
