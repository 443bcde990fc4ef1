/** ntswift driver ... */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { isNtsError, ntsError } from '../common/errors.js';
import { driverImages } from '../common/paths.js';
import {
  type Flavor,
  type Service,
  type ServiceManager,
  infErrorText,
  openServices,
} from '../driver/services.js';
import type { Context } from './context.js';
import { restoreOneIp } from './restore.js';
import { facts, table } from './style.js';

async function withServices<T>(
  { endpoint }: Context,
  work: (services: ServiceManager) => Promise<T>,
): Promise<T> {
  const services = await openServices(endpoint);
  try {
    return await work(services);
  } finally {
    services.close();
  }
}

export async function install(
  values: { inf: string; images: string | null; image: Flavor },
  context: Context,
): Promise<void> {
  const inf = path.resolve(values.inf);
  if (!existsSync(inf))
    throw ntsError('NTS_ERR_FILE_READ', { file: inf, why: 'it does not exist' });
  await withServices(context, async (services) => {
    const images =
      values.images === null ? defaultImages(inf, values.image) : path.resolve(values.images);
    const name = await services.install(inf, { images, flavor: values.image });
    await show(context, services, name);
  });
}

/** Beside the INF as in a driver package; in the tree the build has them. */
function defaultImages(inf: string, flavor: Flavor): string | null {
  const stem = path.basename(inf, path.extname(inf));
  const image = stem + (flavor === 'elf' ? '.so' : '.sys');
  if (existsSync(path.join(path.dirname(inf), image))) return null;
  return existsSync(path.join(driverImages(), image)) ? driverImages() : null;
}

export async function check(values: { inf: string }, context: Context): Promise<void> {
  const inf = path.resolve(values.inf);
  if (!existsSync(inf))
    throw ntsError('NTS_ERR_FILE_READ', { file: inf, why: 'it does not exist' });
  const errors = await withServices(context, (services) => services.check(inf));
  if (errors.length > 0) {
    const what = errors.map(infErrorText).join('\n');
    throw ntsError('NTS_ERR_INF', { what }, { facts: { errors } });
  }
  context.result(errors, () => `${values.inf}: in order`);
}

export async function uninstall({ service }: { service: string }, context: Context): Promise<void> {
  await withServices(context, async (services) => {
    const [present] = await services.list(service);
    const running = present?.state === 'running' ? ', which is running,' : '';
    await context.confirm(`Uninstall ${service}${running} and remove its settings`);
    await services.uninstall(service);
    context.result({ service, state: 'uninstalled' }, () => `${service} is uninstalled`);
  });
}

export async function start({ service }: { service: string }, context: Context): Promise<void> {
  await withServices(context, async (services) => {
    // A driver that starts with the machine runs already, but without what was applied to it.
    const [present] = await services.list(service);
    if (present?.state === 'running') context.note(`${service} runs already`);
    else await services.start(service);
    await restoreIfThere(context);
    await show(context, services, service);
  });
}

/** Whatever driver was started: where the ONE-IP device exists it gets its configuration back. */
async function restoreIfThere(context: Context): Promise<void> {
  try {
    await restoreOneIp(context);
  } catch (error) {
    if (!isNtsError(error, 'NTS_ERR_NO_DEVICE')) throw error;
  }
}

export async function stop({ service }: { service: string }, context: Context): Promise<void> {
  await withServices(context, async (services) => {
    await services.stop(service);
    await show(context, services, service);
  });
}

export async function list(_: object, context: Context): Promise<void> {
  const services = await withServices(context, (manager) => manager.list(null));
  context.result(services, () => {
    if (services.length === 0) return 'No driver is installed.';
    const rows = services.map((service) => [
      service.service,
      stateText(service, context),
      service.start,
      service.class ?? '',
      service.version ?? '',
      service.displayName ?? '',
    ]);
    return table(['SERVICE', 'STATE', 'START', 'CLASS', 'VERSION', 'NAME'], rows, context.style);
  });
}

export async function status(
  { service }: { service: string | null },
  context: Context,
): Promise<void> {
  await withServices(context, async (services) => {
    if (service !== null) return show(context, services, service);
    const all = await services.list(null);
    context.result(all, () =>
      all.length === 0
        ? 'No driver is installed.'
        : all.map((one) => serviceText(one, context)).join('\n\n'),
    );
  });
}

/** The state after a change. */
async function show(context: Context, services: ServiceManager, name: string): Promise<void> {
  const [service] = await services.list(name);
  if (!service) throw ntsError('NTS_ERR_SERVICE', { what: `${name}: no such driver is installed` });
  context.result(service, () => serviceText(service, context));
}

function stateText({ state }: Service, { style }: Context): string {
  return state === 'running' ? style.green(state) : style.dim(state);
}

function serviceText(service: Service, context: Context): string {
  const entries: [string, string | null][] = [
    ['service', context.style.bold(service.service)],
    ['name', service.displayName],
    ['state', stateText(service, context)],
    ['start', service.start],
    ['class', service.class],
    ['version', service.version],
    ['inf', service.inf],
    ['image', service.image],
  ];
  return facts(entries.map(([name, value]) => [name, value ?? '-']));
}
