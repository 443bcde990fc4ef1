/** What Windows' installation tools are told about an INF. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { packageRoot } from '../../userland/common/paths.js';
import { infFacts } from '../../userland/driver/inf-facts.js';

const inf = `\uFEFF; a comment
[Version]
Signature = "$Windows NT$"
Class     = NetService ; trailing
Provider  = %Who%
DriverVer = 11/21/2026,1.2.3.4

[Manufacturer]
%Who% = Models,NTamd64.10.0...22000

[Models.NTamd64.10.0...22000]
"The ""filter""" = Install, nts_filter
"Another" = Install2, nts_other

[Install.Services]
AddService = NtsFilter,,Service ; "quoted ; comment"

[Service]
DisplayName = %Name%
ServiceBinary = %13%\\filter.sys

[Strings]
Who  = "ntswift"
Name = "100%% filter; \\
 really"
`;

t.test('a network filter', (t) => {
  t.same(infFacts(inf), {
    service: 'NtsFilter',
    displayName: '100%% filter;   really',
    component: 'nts_filter',
    class: 'NetService',
    provider: 'ntswift',
    version: '1.2.3.4',
    networkService: true,
  });
  t.match(infFacts(inf.replaceAll('\n', '\r\n')), { service: 'NtsFilter' });
  const primitive =
    '[DefaultInstall.NTamd64.Services]\nAddService = S,,X\n[DefaultInstall.NTamd64]\n';
  t.match(infFacts(primitive), { service: 'S', component: null, networkService: false });
  t.equal(infFacts('[Version]\n'), null);
  t.equal(infFacts(''), null);
  t.end();
});

t.test('our own', (t) => {
  const ours = [
    ['oneip', { service: 'NtsOneIp', component: 'nts_oneip', networkService: true }],
    ['repl', { service: 'NtsRepl', component: null, class: 'Replication', networkService: false }],
  ] as const;
  for (const [name, facts] of ours) {
    const file = path.join(packageRoot(), `kernel/inf/${name}.inf`);
    t.match(infFacts(readFileSync(file, 'utf8')), { provider: 'ntswift', ...facts });
  }
  t.end();
});
