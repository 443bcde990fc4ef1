/** The few facts of an INF that Windows' installation tools want to be told. */
export interface InfFacts {
  readonly service: string;
  readonly displayName: string;
  /** Hardware or component id of the first model; null: a driver without a device. */
  readonly component: string | null;
  readonly class: string;
  readonly provider: string;
  readonly version: string;
  /** Class NetService: netcfg installs it, not pnputil. */
  readonly networkService: boolean;
}

type Section = { readonly key: string; readonly values: readonly string[] }[];

export function infFacts(text: string): InfFacts | null {
  const sections = readSections(text);
  const section = (name: string): Section => sections.get(name.toLowerCase()) ?? [];
  const strings = new Map(
    section('Strings').map(({ key, values }) => [key.toLowerCase(), values[0] ?? '']),
  );
  const expand = (value: string | undefined): string =>
    (value ?? '').replace(/%([^%]*)%/g, (whole, name: string) =>
      name === '' ? '%' : (strings.get(name.toLowerCase()) ?? whole),
    );
  const version = (key: string): string[] =>
    (
      section('Version').find((line) => line.key.toLowerCase() === key.toLowerCase())?.values ?? []
    ).map(expand);

  const [manufacturer] = section('Manufacturer');
  const [models, ...decorations] = manufacturer?.values ?? [];
  const decorated = [...decorations, '']
    .map((decoration) => section(decoration ? `${models}.${decoration}` : `${models}`))
    .find((candidate) => candidate.length > 0);
  // A primitive driver has no device and no models, but one section that installs it.
  const primitive = ['DefaultInstall.NTamd64', 'DefaultInstall'].find((name) =>
    sections.has(name.toLowerCase()),
  );
  const [install = primitive, component] = decorated?.[0]?.values ?? [];
  const services = ['.NT.Services', '.NTamd64.Services', '.Services']
    .flatMap((suffix) => section(`${install}${suffix}`))
    .filter(({ key }) => key.toLowerCase() === 'addservice');
  const [service, , serviceInstall] = services[0]?.values ?? [];
  if (!service) return null;
  const displayName = section(serviceInstall ?? '').find(
    ({ key }) => key.toLowerCase() === 'displayname',
  );
  const className = version('Class')[0] ?? '';
  return {
    service: expand(service),
    displayName: expand(displayName?.values[0]) || expand(service),
    component: component === undefined ? null : expand(component),
    class: className,
    provider: version('Provider')[0] ?? '',
    version: version('DriverVer')[1] ?? '',
    networkService: className.toLowerCase() === 'netservice',
  };
}

function readSections(text: string): Map<string, Section> {
  const sections = new Map<string, Section>();
  let current: Section = [];
  const joined = text.replace(/^\uFEFF/, '').replace(/\\[ \t]*\r?\n/g, ' ');
  for (const raw of joined.split(/\r?\n/)) {
    const line = stripComment(raw).trim();
    const header = /^\[(.*)\]$/.exec(line)?.[1];
    if (header !== undefined) {
      const name = header.trim().toLowerCase();
      current = sections.get(name) ?? [];
      sections.set(name, current);
    } else if (line) {
      const equals = line.indexOf('=');
      const key = equals < 0 ? '' : line.slice(0, equals).trim();
      current.push({ key, values: splitValues(line.slice(equals + 1)) });
    }
  }
  return sections;
}

function stripComment(line: string): string {
  return /^(?:[^";]|"[^"]*"?)*/.exec(line)?.[0] ?? '';
}

function splitValues(text: string): string[] {
  return (text.match(/(?:[^",]|"[^"]*"?)+|(?<=,)(?=,|$)/g) ?? []).map((value) =>
    value.trim().replace(/^"(.*)"$/, '$1'),
  );
}
