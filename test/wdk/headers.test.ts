/** Our kernel headers compile on both targets, each alone, and beside the C library's in either order. */
import { readdirSync } from 'node:fs';
import t from 'tap';
import { compile, generate, include } from './tools.js';

t.setTimeout(120_000);

const headers = readdirSync(include).filter((name) => name.endsWith('.h'));
const posix = [
  'pthread.h',
  'string.h',
  'stdio.h',
  'stdlib.h',
  'stdint.h',
  'errno.h',
  'limits.h',
  'unistd.h',
  'wchar.h',
  'signal.h',
  'sched.h',
  'ucontext.h',
  'dlfcn.h',
  'time.h',
  'sys/mman.h',
  'sys/epoll.h',
  'sys/queue.h',
  'sys/socket.h',
  'sys/un.h',
  'netinet/in.h',
  'net/if.h',
  'linux/if_ether.h',
  'linux/if_packet.h',
  'linux/if_tun.h',
  'linux/virtio_net.h',
];
const including = (names: string[]): string => names.map((name) => `#include <${name}>\n`).join('');

for (const header of headers) {
  t.equal(compile('pe', including([header])), '', `${header} alone, PE`);
  t.equal(compile('elf', including([header])), '', `${header} alone, ELF`);
  t.equal(compile('elf', including([header, header])), '', `${header} twice`);
}

const all = ['ndis.h', 'fltKernel.h', 'intrin.h', 'wdmsec.h', 'wdf.h', 'wdfldr.h', 'initguid.h'];
t.equal(compile('elf', including([...all, ...posix])), '', 'before the C library');
t.equal(compile('elf', including([...posix, ...all])), '', 'after the C library');
t.equal(compile('elf', including(all), '-UDBG'), '', 'without assertions');

// A role carries the convention over to a definition that does not spell it.
const role = `${including(['ntddk.h'])}
DRIVER_UNLOAD Unload;
VOID Unload(PDRIVER_OBJECT DriverObject) { (void)DriverObject; }
void plain(PDRIVER_OBJECT DriverObject) { (void)DriverObject; }
`;
const assign = (name: string): string =>
  `${role}void f(PDRIVER_OBJECT d) { d->DriverUnload = ${name}; }`;
t.equal(compile('elf', assign('Unload')), '', 'a routine declared by its role');
t.match(compile('elf', assign('plain')), /incompatible function pointer types/, 'one that is not');
t.equal(compile('pe', assign('plain')), '', 'PE has one convention only');

// Instructions that x64 does not guarantee are used by functions with a target attribute, after CPUID.
const crc = `${including(['ntddk.h', 'nmmintrin.h', 'intrin.h'])}
__attribute__((target("sse4.2"))) ULONG64 sum(ULONG64 crc, ULONG64 data) { return _mm_crc32_u64(crc, data); }
BOOLEAN has(void) { int info[4]; __cpuid(info, 1); return (info[2] >> 20) & 1; }
`;
t.equal(generate('pe', crc), '', 'CRC32 and CPUID, PE');
t.equal(generate('elf', crc), '', 'CRC32 and CPUID, ELF');
t.match(
  generate('pe', crc.replace(/__attribute__\S+/, '')),
  /requires target feature 'crc32'/,
  'without the attribute',
);
