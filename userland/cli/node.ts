/** ntswift node: a page for a first look. */
import { isNtsError, messageOf } from '../common/errors.js';
import { type Adapter, type Service, openServices } from '../driver/services.js';
import type { NodeView } from '../oneip/view.js';
import type { Context } from './context.js';
import { readNode } from './oneip-access.js';
import { nodeText } from './oneip-text.js';
import { facts, table } from './style.js';

interface Page {
  host: Readonly<Record<string, unknown>>;
  adapters: readonly Adapter[];
  drivers: readonly Service[];
  /** null: the driver does not run. */
  oneip: NodeView | null;
}

export async function node(_: object, context: Context): Promise<void> {
  const services = await openServices(context.endpoint);
  let page: Page;
  try {
    const [adapters, drivers] = await Promise.all([services.adapters(), services.list(null)]);
    page = { host: services.description, adapters, drivers, oneip: await oneIp(context) };
  } finally {
    services.close();
  }
  context.result(page, () => text(page, context));
}

async function oneIp(context: Context): Promise<NodeView | null> {
  try {
    return await readNode(context);
  } catch (error) {
    if (isNtsError(error, 'NTS_ERR_NO_DEVICE')) return null;
    context.warn(messageOf(error));
    return null;
  }
}

function text({ host, adapters, drivers, oneip }: Page, { style }: Context): string {
  const parts = [
    facts(Object.entries(host).map(([name, value]) => [name, plain(value)])),
    adapters.length === 0
      ? 'No adapter.'
      : table(
          ['ADAPTER', 'MAC', 'LINK', 'FILTERS'],
          adapters.map(({ name, mac, link, filters }) => [name, mac, plain(link), plain(filters)]),
          style,
        ),
    drivers.length === 0
      ? 'No driver is installed.'
      : table(
          ['DRIVER', 'STATE', 'VERSION'],
          drivers.map(({ service, state, version }) => [service, state, version ?? '']),
          style,
        ),
    oneip ? nodeText(oneip, style) : 'ONE-IP does not run here.',
  ];
  return parts.join('\n\n');
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map(plain).join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
